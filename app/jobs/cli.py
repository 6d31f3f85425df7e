"""`python -m app jobs ...`: what an operator does with the queue."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

import click
from rich.console import Console
from rich.table import Table

from app.db import Database
from app.jobs.queue import Queue
from app.settings import Settings

LoadSettings = Callable[[], Settings]


@click.group()
def jobs() -> None:
    """Look at the job queue and its dead letters.

    A job that was rejected or failed too often becomes a dead letter: it is not tried again until
    somebody has looked at it and requeues or drops it. Workers need not be stopped for that.

    \b
    Example:
      python -m app jobs dead               what is there
      python -m app jobs show 17            why
      python -m app jobs requeue 17         try again, now that its cause is mended
      python -m app jobs requeue --all --kind reply
      python -m app jobs drop 17            never mind
    """


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
@click.option("--kind", help="Only jobs of this kind.")
@click.option("--limit", default=50, show_default=True, help="How many to show, newest first.")
def dead(kind: str | None, limit: int) -> None:
    """List dead letters: jobs that were rejected or failed too often.

    Example: python -m app jobs dead --limit 10
    """
    with _queue() as queue:
        letters = queue.dead(limit, kind)
    if not letters:
        click.echo("no dead letters")
        return
    table = Table("id", "kind", "key", "attempts", "died", "error")
    for job in letters:
        error = (job.last_error or "").strip().splitlines() or [""]
        table.add_row(
            str(job.id), job.kind, job.key, str(job.attempts), _time(job.done_at), error[-1]
        )
    _print(table)


@jobs.command()
@click.argument("id_", metavar="ID", type=int)
def show(id_: int) -> None:
    """Show all of a job, with its payload and its whole error.

    Example: python -m app jobs show 17
    """
    with _queue() as queue:
        job = queue.job(id_)
    if job is None:
        raise click.ClickException(f"no job with id {id_}")
    for name, text in {
        "id": job.id,
        "kind": job.kind,
        "key": job.key,
        "priority": job.priority.name.lower(),
        "state": job.state,
        "attempts": job.attempts,
        "created": _time(job.created_at),
        "due": _time(job.run_at),
        "settled": _time(job.done_at),
        "worker": job.leased_by or "-",
        "payload": json.dumps(job.payload, indent=2, ensure_ascii=False),
        "error": job.last_error or "-",
    }.items():
        click.echo(f"{name:<9} {text}")


_ids = click.argument("ids", metavar="[ID]...", type=int, nargs=-1)
_all = click.option("--all", "all_", is_flag=True, help="All dead letters.")
_kind = click.option("--kind", help="With --all: only jobs of this kind.")


@jobs.command()
@_ids
@_all
@_kind
def requeue(ids: tuple[int, ...], *, all_: bool, kind: str | None) -> None:
    """Make dead letters due again, with all their attempts.

    \b
    Example:
      python -m app jobs requeue 17 23
      python -m app jobs requeue --all --kind reply
    """
    _settle("requeued", ids, all_, kind, lambda queue, id_: queue.requeue(id_))


@jobs.command()
@_ids
@_all
@_kind
@click.option("--yes", is_flag=True, help="With --all: do not ask.")
def drop(ids: tuple[int, ...], *, all_: bool, kind: str | None, yes: bool) -> None:
    """Delete dead letters for good; the log keeps what they were.

    \b
    Example:
      python -m app jobs drop 17
      python -m app jobs drop --all --kind reply --yes
    """
    if all_ and not yes:
        click.confirm(f"Drop all dead letters{f' of kind {kind}' if kind else ''}?", abort=True)
    _settle("dropped", ids, all_, kind, lambda queue, id_: queue.drop(id_) is not None)


def _settle(
    done: str,
    ids: tuple[int, ...],
    all_: bool,
    kind: str | None,
    act: Callable[[Queue, int], bool],
) -> None:
    """Does `act` to the dead letters that were named, or to all."""
    if bool(ids) == all_:
        raise click.UsageError("name the ids of dead letters, or all with --all")
    if kind and not all_:
        raise click.UsageError("--kind goes with --all")
    with _queue() as queue:
        chosen = queue.dead_ids(kind) if all_ else ids
        missing = [id_ for id_ in chosen if not act(queue, id_)]
    click.echo(f"{len(chosen) - len(missing)} {done}")
    if missing and not all_:  # of all, somebody else may have settled some meanwhile
        named = ", ".join(map(str, missing))
        raise click.ClickException(f"no dead letter with id {named}; see `jobs dead`")


@contextmanager
def _queue() -> Iterator[Queue]:
    settings: Settings = click.get_current_context().find_root().obj()
    with Database.open(settings) as database:
        yield Queue(database)


def _print(table: Table) -> None:
    # Rich would cut cells to the width of a pipe's imagined terminal.
    console = Console()
    console.print(table) if console.is_terminal else Console(width=200).print(table)


def _time(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S %Z}" if at else "-"
