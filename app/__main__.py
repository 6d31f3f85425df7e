"""`python -m app ROLE`: starts one of the app's processes, configured by the environment."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from app import logs
from app.errors import SettingsError, Unavailable
from app.jobs import cli
from app.settings import Settings

if TYPE_CHECKING:
    from app.db import Database

# What processes that speak with Bluesky cannot do without.
_BOT = ("bluesky_url", "bluesky_handle", "bluesky_password", "metrics_port")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def main(context: click.Context) -> None:
    """Etcetera.Exchange. Each command is one process; docs/configuration.md lists the variables."""
    role = context.invoked_subcommand or "app"

    def load() -> Settings:
        settings = Settings.from_env(os.environ)
        logs.configure(settings, role)
        return settings

    context.obj = load


main.add_command(cli.jobs)


@main.command()
@click.pass_context
def migrate(context: click.Context) -> None:
    """Bring the database's schema up to date. Safe to run from several places at once."""
    from app import migrations

    settings: Settings = context.obj()
    migrations.migrate(settings.database_url.get_secret_value())


@main.command()
def provision() -> None:
    """Make the database and its owner. Safe to run again; the only role with an administrator's
    rights, and with variables of its own: ADMIN_URL, DATABASE, OWNER and OWNER_PASSWORD."""
    from app.db import provision as database

    database.from_env(os.environ)


@main.command()
@click.option("--reload", is_flag=True, help="Restart when code or a template changes.")
@click.option("--debug", is_flag=True, help="Show tracebacks in the browser. Never in public.")
@click.pass_context
def web(context: click.Context, *, reload: bool, debug: bool) -> None:
    """Serve pages and API on HOST:PORT.

    Example for working on the app: python -m app web --reload --debug
    """
    settings: Settings = context.obj().require("port")
    if reload or debug:
        _develop(settings, reload=reload, debug=debug)
        return
    if settings.prometheus_multiproc_dir:
        _empty(Path(settings.prometheus_multiproc_dir))
    os.execv(  # noqa: S606 - a list of our own, and no shell wanted
        sys.executable,
        [
            *[sys.executable, "-m", "gunicorn", "--config", "python:app.gunicorn"],
            "app.gunicorn:application()",
        ],
    )


def _develop(settings: Settings, *, reload: bool, debug: bool) -> None:
    """One process with Werkzeug's server, for people at work on the app."""
    from app.db import Database
    from app.web import create_app

    with Database.open(settings) as database:
        app = create_app(settings, database)
        app.run(
            host=settings.host,
            port=settings.port,
            debug=debug,
            use_reloader=reload,
            threaded=True,
        )


def _empty(folder: Path) -> None:
    """Figures of processes that are gone must not be counted again."""
    for old in folder.glob("*.db"):
        old.unlink()


@main.command()
@click.pass_context
def ingest(context: click.Context) -> None:
    """Read mentions from Bluesky and put jobs for them. One process per bot account."""
    settings: Settings = context.obj().require(*_BOT)
    from app.bot import ingest as reader

    stop = _stop_on_signals()
    with _database(settings) as database:
        reader.run(settings, database, stop)


@main.command()
@click.pass_context
def worker(context: click.Context) -> None:
    """Do jobs. Any number of processes; SIGTERM lets running jobs end."""
    settings: Settings = context.obj().require(*_BOT)
    from app.bot import handlers
    from app.cache import Cache
    from app.jobs.worker import Worker

    stop = _stop_on_signals()
    with _database(settings) as database, closing(Cache.open(settings)) as cache:
        worker = Worker(database, handlers.build(settings, database, cache), settings)
        if not worker.run(stop):
            # A thread that hangs cannot be ended, and would keep the process.
            os._exit(0)


@main.command()
@click.pass_context
def autoscaler(context: click.Context) -> None:
    """Decide how many workers run: more while jobs wait, fewer when it is calm. One process."""
    from app.autoscaling.controller import REQUIRED, Controller

    settings: Settings = context.obj().require(*REQUIRED)
    stop = _stop_on_signals()
    with _database(settings) as database:
        Controller(database, settings).run(stop)


@main.command()
@click.pass_context
def monitor(context: click.Context) -> None:
    """Watch the other processes and servers, and judge on METRICS_PORT how they do."""
    settings: Settings = context.obj().require("metrics_port")
    from app.monitor.server import Server
    from app.monitor.watch import Monitor

    stop = _stop_on_signals()
    watching = Monitor(settings)
    with Server(watching, settings.host, settings.metrics_port or 0):
        watching.run(stop)


@contextmanager
def _database(settings: Settings) -> Iterator[Database]:
    """The database of a role, with the role's health and metrics on METRICS_PORT."""
    from app.db import Database
    from app.health import HealthServer

    with (
        Database.open(settings) as database,
        HealthServer(settings, database, port=settings.metrics_port or 0),
    ):
        yield database


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def run() -> NoReturn:
    """The command line; a wrong environment or a missing server is a message, not a traceback."""
    try:
        main(prog_name="python -m app")
    except SettingsError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    except Unavailable as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
    sys.exit(0)


if __name__ == "__main__":
    run()
