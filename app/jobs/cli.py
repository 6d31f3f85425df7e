"""`python -m app jobs ...`: what an operator does with the queue."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.table import Table

from app.db import Database
from app.jobs.queue import Queue
from app.settings import Settings

LoadSettings = Callable[[], Settings]


@click.group()
def jobs() -> None:
    """Look at the job queue and its dead letters."""


@jobs.command()
def stats() -> None:
    """Show how many jobs wait, run, are done and are dead.

    Example: python -m app jobs stats
    """
    with _queue() as queue:
        now = queue.stats()
    table = Table("lane", "priority", "delayed", "due", "leased", "oldest due")
    for level in now.levels:
        table.add_row(
            level.lane,
            level.priority.name.lower(),
            str(level.delayed),
            str(level.due),
            str(level.leased),
            f"{level.oldest:.1f} s" if level.due else "-",
        )
    _print(table)
    click.echo(f"{now.done} done in the last hour, {now.dead} dead")


@jobs.command()
@click.option("--limit", default=50, show_default=True, help="How many to show, newest first.")
def dead(limit: int) -> None:
    """List dead letters: jobs that were rejected or failed too often.

    Example: python -m app jobs dead --limit 10
    """
    with _queue() as queue:
        letters = queue.dead(limit)
    if not letters:
        click.echo("no dead letters")
        return
    table = Table("id", "kind", "key", "attempts", "died", "error")
    for job in letters:
        error = (job.last_error or "").strip().splitlines() or [""]
        died = f"{job.done_at:%Y-%m-%d %H:%M:%S}" if job.done_at else "-"
        table.add_row(str(job.id), job.kind, job.key, str(job.attempts), died, error[-1])
    _print(table)


@jobs.command()
@click.argument("ids", metavar="ID...", type=int, nargs=-1, required=True)
def requeue(ids: tuple[int, ...]) -> None:
    """Make dead letters due again, with all their attempts.

    Example: python -m app jobs requeue 17 23
    """
    with _queue() as queue:
        missing = [id_ for id_ in ids if not queue.requeue(id_)]
    click.echo(f"{len(ids) - len(missing)} requeued")
    _fail_for(missing)


@jobs.command()
@click.argument("ids", metavar="ID...", type=int, nargs=-1, required=True)
def drop(ids: tuple[int, ...]) -> None:
    """Delete dead letters for good; the log keeps what they were.

    Example: python -m app jobs drop 17
    """
    with _queue() as queue:
        missing = [id_ for id_ in ids if queue.drop(id_) is None]
    click.echo(f"{len(ids) - len(missing)} dropped")
    _fail_for(missing)


@contextmanager
def _queue() -> Iterator[Queue]:
    settings: Settings = click.get_current_context().find_root().obj()
    with Database.open(settings) as database:
        yield Queue(database)


def _print(table: Table) -> None:
    # Rich would cut cells to the width of a pipe's imagined terminal.
    console = Console()
    console.print(table) if console.is_terminal else Console(width=200).print(table)


def _fail_for(missing: list[int]) -> None:
    if missing:
        ids = ", ".join(map(str, missing))
        raise click.ClickException(f"no dead letter with id {ids}; see `python -m app jobs dead`")
