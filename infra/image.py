"""`scripts/image`: makes the app's container image and hands it to the registry of a stack.

Whichever builder the machine has does it: docker (with buildx), podman or buildah. The image is
named by its digest, which the stack file then holds.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from app import __version__
from infra.config import PROJECT, ConfigError
from infra.engine.stackfile import StackFile

REPOSITORY = Path(__file__).parents[1]
PACKAGES = REPOSITORY / "requirements" / "image.txt"
STDERR = 2
# Machines of stacks are arm64 by default (infra/aws_sizes.py), those of developers often are not.
PLATFORMS = ("linux/arm64", "linux/amd64")
BUILDERS = {
    "docker": ("docker", "buildx", "inspect"),
    "podman": ("podman", "info"),
    "buildah": ("buildah", "info"),
}
"""Each with a command that succeeds where it can build."""


class ImageError(Exception):
    """The image cannot be made; the message says what to do."""


@dataclass(frozen=True)
class Source:
    """What an image is made from; `epoch` (Unix time) is when it was committed."""

    revision: str
    epoch: int

    @property
    def tag(self) -> str:
        return f"{__version__}-{self.revision[:12]}"

    @property
    def arguments(self) -> dict[str, str]:
        """Of the Dockerfile."""
        return {
            "SOURCE_DATE_EPOCH": str(self.epoch),
            "VERSION": __version__,
            "REVISION": self.revision,
            "CREATED": datetime.fromtimestamp(self.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }


def source(repository: Path = REPOSITORY) -> Source:
    """Raises ImageError when something of the image is not committed: nobody else has it."""

    def git(*arguments: str) -> str:
        found = subprocess.run(
            ["git", "-C", str(repository), *arguments], capture_output=True, text=True, check=False
        )
        if found.returncode:
            raise ImageError(f"git cannot tell what is committed: {found.stderr.strip()}")
        return found.stdout.strip()

    parts = ("app", "requirements/image.txt", "Dockerfile", ".dockerignore")
    if changed := git("status", "--porcelain", "--", *parts):
        raise ImageError(f"commit first what the image would hold:\n{changed}")
    return Source(git("rev-parse", "HEAD"), int(git("log", "-1", "--format=%ct")))


def builder(wanted: str | None = None) -> str:
    """The builder that is asked for, or the first that works here. Raises ImageError."""
    reasons = []
    for name in (wanted,) if wanted else tuple(BUILDERS):
        if shutil.which(name) is None:
            reasons.append(f"{name}: not installed")
            continue
        tried = subprocess.run(BUILDERS[name], capture_output=True, text=True, check=False)
        if tried.returncode == 0:
            return name
        said = (tried.stderr or tried.stdout).strip().splitlines() or ["does not work"]
        reasons.append(f"{name}: {said[-1]}")
    listed = "".join(f"\n  {reason}" for reason in reasons)
    raise ImageError(
        f"nothing on this machine can build an image:{listed}\n"
        "Start or install one of them, or let CI run scripts/image."
    )


def commands(
    using: str, image: str, arguments: Mapping[str, str], platforms: Sequence[str], report: Path
) -> list[list[str]]:
    """What builds an image for all platforms, pushes it, and writes its digest to `report`."""
    given = [word for key, value in arguments.items() for word in ("--build-arg", f"{key}={value}")]
    about = ["--file", "Dockerfile", "--platform", ",".join(platforms), *given]
    if using == "docker":
        # A provenance would hold times of the build.
        output = "type=image,push=true,oci-mediatypes=true,rewrite-timestamp=true"
        return [
            [
                *("docker", "buildx", "build", *about, "--tag", image),
                *("--provenance=false", "--output", output, "--metadata-file", str(report), "."),
            ]
        ]
    stamp = ["--timestamp", arguments["SOURCE_DATE_EPOCH"]]
    push = ["manifest", "push", "--all", "--digestfile", str(report), image, f"docker://{image}"]
    return [[using, "build", *about, *stamp, "--manifest", image, "."], [using, *push]]


def local(using: str, image: str, arguments: Mapping[str, str]) -> list[list[str]]:
    """What builds an image for this machine and leaves it there."""
    given = [word for key, value in arguments.items() for word in ("--build-arg", f"{key}={value}")]
    build = ["docker", "buildx", "build", "--load"] if using == "docker" else [using, "build"]
    return [[*build, "--file", "Dockerfile", *given, "--tag", image, "."]]


def digest(using: str, report: str) -> str:
    """The digest in what the builder reported."""
    found = json.loads(report)["containerimage.digest"] if using == "docker" else report.strip()
    return str(found)


def name_of(image: str) -> str:
    """registry/name, without tag and digest."""
    name = image.partition("@")[0]
    folder, slash, last = name.rpartition("/")
    return folder + slash + last.partition(":")[0]


def _run(lines: Sequence[Sequence[str]]) -> None:
    for line in lines:
        click.echo(f"+ {' '.join(line)}", err=True)
        # The builder's own words are for people; what this prints is for programs, too.
        ended = subprocess.run(line, cwd=REPOSITORY, stdout=STDERR, check=False)
        if ended.returncode:
            raise ImageError(f"{line[0]} failed with exit code {ended.returncode}")


def bill_of_materials(to: Path) -> None:
    """Writes the packages of the image, with versions and hashes, as CycloneDX JSON."""
    subprocess.run(
        [
            *(sys.executable, "-m", "cyclonedx_py", "requirements", str(PACKAGES)),
            *("--output-reproducible", "--spec-version", "1.6", "--output-format", "JSON"),
            *("--output-file", str(to)),
        ],
        check=True,
        env={"PATH": os.environ.get("PATH", "")},
    )


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("stack", required=False)
@click.option("--local", "here", is_flag=True, help="For this machine only; pushes nothing.")
@click.option("--builder", "wanted", type=click.Choice(list(BUILDERS)), help="Else the first.")
@click.option("--platform", "platforms", multiple=True, help="Else linux/arm64 and linux/amd64.")
@click.option("--sbom", type=Path, help="Only write the image's packages to FILE, as CycloneDX.")
def main(
    stack: str | None,
    *,
    here: bool,
    wanted: str | None,
    platforms: tuple[str, ...],
    sbom: Path | None,
) -> None:
    """Build the app's image, push it to the registry that STACK's `etcetera:image` names, and
    print what to put there.

    \b
    scripts/image phase1-aws
    scripts/image phase1-aws --local
    scripts/image --sbom sbom.json
    """
    if sbom is not None:
        bill_of_materials(sbom)
        click.echo(f"wrote {sbom}", err=True)
        return
    if stack is None:
        raise click.UsageError("name the stack that the image is for")
    try:
        image = StackFile.open(stack).values().get(f"{PROJECT}:image")
        if image is None:
            raise ImageError(f"stack {stack} has no {PROJECT}:image; set it to registry/name:new")
        made_from, using = source(), builder(wanted)
        name = name_of(image.text)
        tagged = f"{name}:{made_from.tag}"
        if here:
            _run(local(using, tagged, made_from.arguments))
            click.echo(tagged)
            return
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "digest"
            _run(commands(using, tagged, made_from.arguments, platforms or PLATFORMS, report))
            named = f"{name}@{digest(using, report.read_text())}"
    except (ConfigError, ImageError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(named)
    click.echo(
        f"pushed {tagged}. For stack {stack}:\n"
        f"  scripts/pulumi config set {PROJECT}:image {named} --stack {stack}",
        err=True,
    )


if __name__ == "__main__":
    main(prog_name="scripts/image")
