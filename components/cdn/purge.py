"""`scripts/purge`: makes a stack's CDN forget. Reads the stack's outputs as JSON from stdin."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import click
import httpx

SECONDS = 10.0
EVERYTHING = "/*"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("stack")
@click.argument("paths", metavar="[PATH]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Forget everything that is kept.")
def main(stack: str, paths: tuple[str, ...], *, everything: bool) -> None:
    """Make the CDN of STACK ask the site anew: for some addresses, or for all.

    On AWS an address may end in *, which stands for all that begin so; the credentials are those
    that Pulumi would use.

    \b
    scripts/purge phase2 / /objects "/search?q=teapot"
    scripts/purge phase2 --all
    """
    if bool(paths) == everything:
        raise click.UsageError("name the addresses to forget, or all with --all")
    if wrong := [path for path in paths if not path.startswith("/")]:
        raise click.UsageError(f"an address begins with /, as in / or /objects: {', '.join(wrong)}")
    outputs = json.load(sys.stdin)
    if outputs.get("distribution_id"):
        invalidation = invalidate(outputs["distribution_id"], [EVERYTHING] if everything else paths)
        what = "everything" if everything else ", ".join(paths)
        click.echo(f"{what}: forgotten everywhere in a minute or two ({invalidation})")
    elif outputs.get("purge_url"):
        _purge(outputs["purge_url"], outputs["purge_token"], paths)
    else:
        raise click.ClickException(f"stack {stack} has no CDN, so nothing is kept before its site")


def invalidate(distribution: str, paths: Sequence[str]) -> str:
    """Asks CloudFront to forget addresses; the id of what it does about it.

    Raises click.ClickException when it does not.
    """
    import boto3  # for stacks on AWS only; it takes a while to load
    from botocore.exceptions import BotoCoreError, ClientError

    batch: dict[str, Any] = {
        "Paths": {"Quantity": len(paths), "Items": [_written(path) for path in paths]},
        "CallerReference": str(uuid4()),
    }
    try:
        answer = boto3.client("cloudfront").create_invalidation(
            DistributionId=distribution, InvalidationBatch=batch
        )
    except (BotoCoreError, ClientError) as error:
        raise click.ClickException(f"CloudFront did not do it: {error}") from None
    return str(answer["Invalidation"]["Id"])


def _written(path: str) -> str:
    """As CloudFront keeps it: what is not ASCII is escaped, what is escaped already stays."""
    return quote(path, safe="/?&=%:@!$'()*+,;~-._")


def _purge(url: str, token: str, paths: Sequence[str]) -> None:
    """Asks the CDN of a machine; without `paths` to forget everything."""
    try:
        answer = httpx.post(
            url,
            json={"paths": paths} if paths else {"all": True},
            headers={"Authorization": f"Bearer {token}"},
            timeout=SECONDS,
        )
        answer.raise_for_status()
    except httpx.HTTPError as error:
        raise click.ClickException(f"the CDN did not do it: {error}") from None
    purged = answer.json()["purged"]
    if not paths:
        click.echo("everything is forgotten")
    for path in paths:
        click.echo(f"{path}: {'forgotten' if path in purged else 'was not kept'}")


if __name__ == "__main__":
    main(prog_name="scripts/purge")
