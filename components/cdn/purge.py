"""`scripts/purge`: makes a stack's CDN forget. Reads the stack's outputs as JSON from stdin."""

from __future__ import annotations

import json
import sys

import click
import httpx

SECONDS = 10.0


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("stack")
@click.argument("paths", metavar="[PATH]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Forget everything that is kept.")
def main(stack: str, paths: tuple[str, ...], *, everything: bool) -> None:
    """Make the CDN of STACK ask the site anew: for some addresses, or for all.

    \b
    scripts/purge phase2 / /objects "/search?q=teapot"
    scripts/purge phase2 --all
    """
    if bool(paths) == everything:
        raise click.UsageError("name the addresses to forget, or all with --all")
    if wrong := [path for path in paths if not path.startswith("/")]:
        raise click.UsageError(f"an address begins with /, as in / or /objects: {', '.join(wrong)}")
    outputs = json.load(sys.stdin)
    if not outputs.get("purge_url"):
        raise click.ClickException(f"stack {stack} has no CDN, so nothing is kept before its site")
    wanted = {"all": True} if everything else {"paths": paths}
    try:
        answer = httpx.post(
            outputs["purge_url"],
            json=wanted,
            headers={"Authorization": f"Bearer {outputs['purge_token']}"},
            timeout=SECONDS,
        )
        answer.raise_for_status()
    except httpx.HTTPError as error:
        raise click.ClickException(f"the CDN did not do it: {error}") from None
    purged = answer.json()["purged"]
    if everything:
        click.echo("everything is forgotten")
    for path in paths:
        click.echo(f"{path}: {'forgotten' if path in purged else 'was not kept'}")


if __name__ == "__main__":
    main(prog_name="scripts/purge")
