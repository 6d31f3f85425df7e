"""Records what the stacks on AWS declare now: `python -m tests.upgrade VERSION`, at a release."""

import click

from infra.engine import review
from tests.program.aws.stacks import STACKS
from tests.upgrade.releases import FOLDER


@click.command(help=__doc__)
@click.argument("version")
def record(version: str) -> None:
    folder = FOLDER / version
    folder.mkdir(exist_ok=True)
    for stack in STACKS:
        (folder / f"{stack}.json").write_text(review.snapshot(stack).text())
        click.echo(f"recorded {version}/{stack}.json")


if __name__ == "__main__":
    record()
