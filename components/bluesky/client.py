"""`scripts/bluesky`: be a person on the Bluesky network of a local stack, to try its bot out."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import httpx
from atproto.exceptions import AtProtocolError

from components.bluesky.people import Person, Post, Ref

ROOT = Path(__file__).parents[2]
DEFAULT_BOT = "etcetera.test"
READER = "onlooker.test"  # whose eyes `thread` uses


@dataclass(frozen=True)
class Network:
    """A PDS and the handle of the bot on it."""

    url: str
    bot: str

    @classmethod
    def of_stack(cls, stack: str) -> Network:
        """The network of a deployed stack. ClickException when there is none."""
        answer = subprocess.run(
            [str(ROOT / "scripts" / "pulumi"), "stack", "output", "--stack", stack, "--json"],
            capture_output=True,
            text=True,
            check=False,
        )
        if answer.returncode != 0:
            problem = answer.stderr.strip().removeprefix("error: ")
            raise click.ClickException(problem or f"stack {stack} has no outputs")
        outputs = json.loads(answer.stdout)
        url = outputs.get("endpoints", {}).get("bluesky_url")
        if not url:
            raise click.ClickException(
                f"stack {stack} has no local Bluesky network. Is it up (scripts/up {stack})?"
            )
        return cls(url, outputs.get("bot_handle", DEFAULT_BOT))

    def person(self, name: str) -> Person:
        """The person of that name, signed up the first time."""
        handle = name if "." in name else f"{name}.test"
        return Person.join(self.url, handle, demo_password(handle))


def demo_password(handle: str) -> str:
    """The password of somebody made here: no secret, so that nothing needs to be kept.

    These people live on a network of this machine that exists for trying things out.
    """
    return hashlib.sha256(f"demo {handle}".encode()).hexdigest()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("stack")
@click.option("--url", help="The network's PDS, instead of asking the stack.")
@click.pass_context
def main(context: click.Context, stack: str, url: str | None) -> None:
    """Be a person on the Bluesky network of STACK, to try its bot out.

    \b
    scripts/bluesky phase1 post --as alice "@etcetera.test claim"
    scripts/bluesky phase1 post --as bob --reply-to URI "accept"
    scripts/bluesky phase1 thread URI
    scripts/bluesky --url http://localhost:2583 phase1 thread URI
    """
    context.obj = Network(url, DEFAULT_BOT) if url else Network.of_stack(stack)


@main.command()
@click.option("--as", "name", required=True, help="Who posts, such as alice. Signed up if new.")
@click.option("--reply-to", metavar="URI", help="The post to reply to.")
@click.option("--wait", default=30.0, show_default=True, help="Seconds to wait for the bot; 0: no.")
@click.argument("text")
@click.pass_obj
def post(network: Network, name: str, reply_to: str | None, wait: float, text: str) -> None:
    """Post TEXT and show what the bot answers.

    The first part of a handle has 3 to 18 characters.
    """
    person = network.person(name)
    parent = person.wait_for_thread(reply_to) if reply_to else None
    began = time.monotonic()
    written = person.post(text, reply_to=Ref(parent.uri, parent.cid) if parent else None)
    _show(person.wait_for_thread(written.uri))
    if wait <= 0 or (parent is None and f"@{network.bot}" not in text.lower()):
        return
    try:
        answer = person.wait_for_reply(written.uri, wait)  # the bot's or a courier's
    except TimeoutError:
        raise click.ClickException(
            f"@{network.bot} has not answered after {wait:g} s. Is the stack healthy?"
        ) from None
    click.secho(f"  answered after {time.monotonic() - began:.1f} s", dim=True)
    _show(answer, depth=1)


@main.command()
@click.argument("uri")
@click.pass_obj
def thread(network: Network, uri: str) -> None:
    """Show the post URI and all replies."""
    for depth, item in _flat(network.person(READER).wait_for_thread(uri)):
        _show(item, depth)


def _flat(item: Post, depth: int = 0) -> Iterator[tuple[int, Post]]:
    yield depth, item
    for reply in item.replies:
        yield from _flat(reply, depth + 1)


def _show(item: Post, depth: int = 0) -> None:
    margin = "  " * depth
    author = f"@{item.author_handle}" if item.hidden is None else f"({item.hidden})"
    click.echo(f"{margin}{click.style(author, bold=True)}  {click.style(item.uri, dim=True)}")
    for line in item.text.splitlines():
        click.echo(f"{margin}  {line}")
    for address in (*item.links, *item.images):
        click.echo(f"{margin}  {click.style(address, fg='cyan')}")


if __name__ == "__main__":
    try:
        main(prog_name="scripts/bluesky")
    except (AtProtocolError, TimeoutError, httpx.HTTPError) as error:
        # A network that is away raises an error without a text.
        reason = str(error) or "the network does not answer. Is the stack up?"
        raise SystemExit(f"scripts/bluesky: {reason}") from None
