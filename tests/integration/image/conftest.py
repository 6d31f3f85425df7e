"""The container image's layout in a folder, made without a builder.

Packages are linked from this checkout's environment, which has the versions of the image
(tests/unit/infra/test_image.py compares the lock files); nothing else can be imported there.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

REPOSITORY = Path(__file__).parents[3]
USER = "10001"


@dataclass(frozen=True)
class Layout:
    """`opt` is the image's /opt, and cannot be written to; `temporary` its /tmp."""

    opt: Path
    temporary: Path

    def command(self, *words: str) -> list[str]:
        """Its Python, as a user with that number who is in no list and has no rights at all."""
        python = str(self.opt / "venv" / "bin" / "python")
        return ["unshare", "--user", f"--map-user={USER}", f"--map-group={USER}", python, *words]

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """What the Dockerfile sets, and what the process is given."""
        return {
            "PATH": f"{self.opt / 'venv' / 'bin'}:/usr/bin:/bin",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            "HOME": str(self.temporary),
            "TMPDIR": str(self.temporary),
            **given,
        }

    def run(self, *words: str, **given: str) -> subprocess.CompletedProcess[str]:
        """Python with these words, to its end."""
        return subprocess.run(
            self.command(*words),
            cwd=self.opt / "etcetera",
            env=self.environment(given),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    @contextmanager
    def running(self, role: str, **given: str) -> Iterator[subprocess.Popen[str]]:
        """One of the app's processes, until the block ends."""
        process = subprocess.Popen(
            self.command("-m", "app", role),
            cwd=self.opt / "etcetera",
            env=self.environment(given),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.communicate(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


def requirements(file: str) -> dict[str, Requirement]:
    """What a lock file names for this machine, by name."""
    lines = (REPOSITORY / "requirements" / file).read_text().replace("\\\n", " ").splitlines()
    named = (line.partition(" --hash")[0].strip() for line in lines if line[:1].isalnum())
    found = [Requirement(line) for line in named]
    return {one.name: one for one in found if one.marker is None or one.marker.evaluate()}


@pytest.fixture(scope="session")
def layout() -> Iterator[Layout]:
    folder = Path(tempfile.mkdtemp(prefix="etcetera-image-"))
    try:
        opt, temporary = folder / "opt", folder / "tmp"
        temporary.mkdir()
        venv.create(opt / "venv", symlinks=True, with_pip=False)
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        packages = opt / "venv" / "lib" / version / "site-packages"
        for name in requirements("image.txt"):
            installed = distribution(name)
            for top in {Path(str(file)).parts[0] for file in installed.files or ()} - {"..", ""}:
                source = Path(str(installed.locate_file(top)))
                if top != "__pycache__" and source.exists() and not (packages / top).exists():
                    (packages / top).symlink_to(source)
        shutil.copytree(
            REPOSITORY / "app",
            opt / "etcetera" / "app",
            ignore=shutil.ignore_patterns("__pycache__", "*.pyc"),
        )
        for path in (opt, *opt.rglob("*")):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode & ~0o222)
        yield Layout(opt, temporary)
    finally:
        for path in (folder, *folder.rglob("*")):
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o700)
        shutil.rmtree(folder)
