"""Decides what the container image holds, who may build it and from what, and what it is called.
That the app starts in its layout is decided by tests/integration/image."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from components import kubernetes
from infra import image
from infra.image import ImageError, Source
from tests.integration.image.conftest import REPOSITORY, requirements

DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
DIGEST = f"sha256:{'ab' * 32}"
COMMITTED = Source("0123456789abcdef", 1_790_000_000)


def pins(file: str) -> dict[str, set[str]]:
    """The hashes of each pinned version, markers left out."""
    found: dict[str, set[str]] = {}
    for line in (REPOSITORY / "requirements" / file).read_text().splitlines():
        if line[:1].isalnum():
            pin = line.partition(";")[0].rstrip(" \\")
            found[pin] = set()
        elif "--hash=" in line:
            found[pin].add(line.strip(" \\"))
    return found


# -- what it holds ---------------------------------------------------------------------------------


def test_its_packages_are_those_that_were_tested() -> None:
    tested = pins("lock.txt")
    for pin, hashes in pins("image.txt").items():
        assert hashes
        assert tested.get(pin) == hashes, pin


def test_it_holds_what_the_app_needs_and_nothing_of_the_platform() -> None:
    def names(listed: list[str]) -> set[str]:
        return {re.split(r"[\[<>=~]", one)[0].replace(".", "-") for one in listed}

    held = set(requirements("image.txt"))
    assert names(PROJECT["dependencies"]) <= held
    for extra, listed in PROJECT["optional-dependencies"].items():
        assert not names(listed) & held, extra


def test_of_the_repository_only_the_app_gets_in() -> None:
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert lines[1] == "*"
    assert [line for line in lines if line.startswith("!")] == ["!app", "!requirements/image.txt"]


def test_everything_that_goes_in_is_pinned() -> None:
    (base,) = re.findall(r"^ARG PYTHON=(.+)$", DOCKERFILE, re.MULTILINE)
    assert re.fullmatch(r"\S+:\d+\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64}", base)
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"${PYTHON}"}
    assert re.search(r"ADD --checksum=sha256:[0-9a-f]{64}", DOCKERFILE)
    assert "--require-hashes" in DOCKERFILE
    assert "--only-binary :all:" in DOCKERFILE


def test_it_runs_as_the_user_that_pods_run_as() -> None:
    assert f"\nUSER {kubernetes.USER}:{kubernetes.USER}\n" in DOCKERFILE
    assert f"EXPOSE {kubernetes.WEB_PORT} {kubernetes.METRICS_PORT}" in DOCKERFILE
    assert f"HOME={kubernetes.TEMPORARY}" in DOCKERFILE


def test_the_dockerfile_is_clean() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    found = subprocess.run(
        [hadolint, REPOSITORY / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stdout) == (0, "")


def test_the_bill_of_materials_names_every_package(tmp_path: Path) -> None:
    first, second = tmp_path / "1.json", tmp_path / "2.json"
    image.bill_of_materials(first)
    image.bill_of_materials(second)
    assert first.read_bytes() == second.read_bytes()
    document = json.loads(first.read_text())
    assert document["bomFormat"] == "CycloneDX"
    listed = {f"{one['name']}=={one['version']}" for one in document["components"]}
    assert listed == set(pins("image.txt"))


# -- how it is built -------------------------------------------------------------------------------


def test_it_is_named_by_version_and_revision() -> None:
    assert COMMITTED.tag == "0.1.0-0123456789ab"
    assert COMMITTED.arguments["CREATED"] == "2026-09-21T14:13:20Z"
    assert image.name_of(f"ghcr.io:443/a/b:1@{DIGEST}") == "ghcr.io:443/a/b"
    assert image.name_of("localhost:5000/b") == "localhost:5000/b"


@pytest.mark.parametrize("builder", list(image.BUILDERS))
def test_every_builder_makes_the_same_from_the_same(builder: str, tmp_path: Path) -> None:
    lines = image.commands(
        builder, "r/n:t", COMMITTED.arguments, image.PLATFORMS, tmp_path / "digest"
    )
    (build, *_) = lines
    assert {line[0] for line in lines} == {builder}
    assert build[build.index("--platform") + 1] == "linux/arm64,linux/amd64"
    assert f"SOURCE_DATE_EPOCH={COMMITTED.epoch}" in build
    # Times of files are the commit's, too.
    assert "rewrite-timestamp=true" in " ".join(build) or str(COMMITTED.epoch) in build
    assert str(tmp_path / "digest") in lines[-1]


def test_the_digest_is_read_from_what_the_builder_reports() -> None:
    assert image.digest("docker", json.dumps({"containerimage.digest": DIGEST})) == DIGEST
    assert image.digest("podman", f"{DIGEST}\n") == DIGEST


@pytest.fixture
def committed(tmp_path: Path) -> Path:
    """A small repository with the image's parts, all of it committed."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "a.py").write_text("1")
    (tmp_path / "Dockerfile").write_text("FROM scratch")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=n@example.com"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *words], check=True, capture_output=True)
    return tmp_path


def test_what_is_not_committed_is_not_built(committed: Path) -> None:
    assert len(image.source(committed).revision) == 40
    (committed / "elsewhere").write_text("is no part of it")
    image.source(committed)
    (committed / "app" / "b.py").write_text("2")
    with pytest.raises(ImageError, match=r"app/b\.py"):
        image.source(committed)


def tools(folder: Path, monkeypatch: pytest.MonkeyPatch, **scripts: str) -> None:
    """Makes these programs the only ones that are installed, beside those of the system."""
    for name, script in scripts.items():
        program = folder / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_without_a_builder_it_says_what_was_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools(tmp_path, monkeypatch, docker="echo Cannot connect to the daemon >&2; exit 1")
    with pytest.raises(ImageError) as refused:
        image.builder()
    for words in ("docker: Cannot connect to the daemon", "podman: not installed", "buildah: not"):
        assert words in str(refused.value)


def test_the_first_builder_that_works_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools(tmp_path, monkeypatch, docker="exit 1", podman="exit 0", buildah="exit 0")
    assert image.builder() == "podman"
    assert image.builder("buildah") == "buildah"


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> Result:
    monkeypatch.setattr(image, "source", lambda: COMMITTED)
    return CliRunner().invoke(image.main, words)


def test_it_pushes_to_the_registry_of_the_stack_and_prints_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As buildx does: tells in a file what it has pushed.
    script = (
        f'echo "$@" >> {tmp_path}/calls\n'
        'while [ $# -gt 0 ]; do if [ "$1" = --metadata-file ]; then '
        f'echo \'{{"containerimage.digest": "{DIGEST}"}}\' > "$2"; fi; shift; done'
    )
    tools(tmp_path, monkeypatch, docker=script)
    result = run(monkeypatch, "phase1-aws")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"ghcr.io/example/etcetera@{DIGEST}\n"
    assert f"config set etcetera:image ghcr.io/example/etcetera@{DIGEST}" in result.stderr
    assert "--tag ghcr.io/example/etcetera:0.1.0-0123456789ab" in (tmp_path / "calls").read_text()


def test_a_failed_build_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools(tmp_path, monkeypatch, podman='[ "$1" = info ]')
    result = run(monkeypatch, "phase1-aws")
    assert result.exit_code == 1
    assert "podman failed" in result.stderr
    assert not result.stdout


@pytest.mark.parametrize(
    ("words", "said"), [(["phase1"], "has no etcetera:image"), (["phase9"], "there is no stack")]
)
def test_a_stack_without_a_registry_is_refused(
    monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    result = run(monkeypatch, *words)
    assert result.exit_code == 1
    assert said in result.stderr


def test_the_command_runs(tmp_path: Path) -> None:
    out = tmp_path / "sbom.json"
    ran = subprocess.run(
        [REPOSITORY / "scripts" / "image", "--sbom", out],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(out.read_text())["components"]
