"""Decides what operators and Prometheus see of the processes: health server and command line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import psycopg
import pytest
from click.testing import CliRunner, Result
from prometheus_client.parser import text_string_to_metric_families

from app.__main__ import main
from app.db import Database
from app.health import HealthServer, Pulse
from app.jobs.queue import Queue
from app.models import Lane, Priority
from app.settings import Settings
from tests.integration.jobs.kit import add, eventually, states
from tests.servers import free_port

pytestmark = pytest.mark.integration


@pytest.fixture
def pulse() -> Pulse:
    return Pulse()


@pytest.fixture
def served(settings: Settings, database: Database, pulse: Pulse) -> Iterator[httpx.Client]:
    with HealthServer(settings, database, port=0, pulse=pulse) as server:
        yield httpx.Client(base_url=f"http://127.0.0.1:{server.port}")


def samples(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_process_is_healthy_while_its_loops_come_round(
    served: httpx.Client, pulse: Pulse
) -> None:
    assert served.get("/healthz").status_code == 200
    pulse.beat("worker", within=60)
    assert served.get("/healthz").status_code == 200
    pulse.beat("relay", within=-1)
    answer = served.get("/healthz")
    assert answer.status_code == 503
    assert list(answer.json()["silent_seconds"]) == ["relay"]


def test_ready_means_that_the_database_answers(served: httpx.Client) -> None:
    answer = served.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "database": "ok"})


def test_a_lost_redis_degrades_and_does_not_stop(
    make_settings: Callable[..., Settings], database: Database
) -> None:
    settings = make_settings(phase=1, redis_url="redis://127.0.0.1:1/0")
    with HealthServer(settings, database, port=0, pulse=Pulse()) as server:
        answer = httpx.get(f"http://127.0.0.1:{server.port}/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")


def test_metrics_tell_depth_age_dead_letters_and_write_points(
    served: httpx.Client, database: Database, queue: Queue
) -> None:
    add(database, "dead", priority=Priority.HIGH)
    queue.bury(queue.lease(Lane.EFFECTS, 1, "w", 30)[0], "x")
    add(database, "due", priority=Priority.LOW, waited=7)
    add(database, "delayed", priority=Priority.NORMAL, delay=60)
    with database.transaction() as tx:
        tx.conn.execute(
            "INSERT INTO write_points VALUES ('etcetera.test', now(), 30),"
            " ('etcetera.test', now() - interval '5 hours', 100)"
        )
    got = samples(served.get("/metrics").text)
    assert got["etcetera_database_up", ()] == 1
    assert got["etcetera_jobs_open", ("effects", "low", "due")] == 1
    assert got["etcetera_jobs_open", ("effects", "normal", "delayed")] == 1
    assert got["etcetera_jobs_oldest_seconds", ("effects", "low")] >= 7
    assert got["etcetera_jobs_dead", ()] == 1
    assert got["etcetera_write_points_left", ("etcetera.test", "hour")] == 5000 - 30
    assert got["etcetera_write_points_left", ("etcetera.test", "day")] == 35000 - 130


def test_metrics_without_a_database_say_so(
    served: httpx.Client, empty_database_url: str, make_settings: Callable[..., Settings]
) -> None:
    del served
    settings = make_settings(database_url=empty_database_url)
    with Database.open(settings) as empty, HealthServer(settings, empty, port=0) as server:
        got = samples(httpx.get(f"http://127.0.0.1:{server.port}/metrics").text)
    assert got["etcetera_database_up", ()] == 0


def environment(settings: Settings) -> dict[str, str]:
    """What every role needs, and nothing else."""
    return {
        "PATH": os.environ["PATH"],
        "PHASE": "0",
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "PUBLIC_URL": settings.public_url,
        "SECRET_KEY": settings.secret_key.get_secret_value(),
    }


def app(settings: Settings | None, *words: str, **extra: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], **extra}
    if settings is not None:
        env |= environment(settings)
    return subprocess.run(
        [sys.executable, "-m", "app", *words],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_an_operator_sees_requeues_and_drops_dead_letters(
    settings: Settings, database: Database, queue: Queue
) -> None:
    for key in ("keep", "again", "away"):
        add(database, key)
    for job in queue.lease(Lane.EFFECTS, 3, "w", 30):
        queue.bury(job, "Traceback\nValueError: broken")
    ids = {job.key: str(job.id) for job in queue.dead()}
    shown = app(settings, "jobs", "dead")
    assert shown.returncode == 0, shown.stderr
    assert all(key in shown.stdout for key in ids)
    assert "ValueError: broken" in shown.stdout
    assert app(settings, "jobs", "requeue", ids["again"]).returncode == 0
    assert app(settings, "jobs", "drop", ids["away"]).returncode == 0
    assert states(database) == {"keep": "dead", "again": "waiting"}
    stats = app(settings, "jobs", "stats")
    assert "1 dead" in stats.stdout
    unknown = app(settings, "jobs", "drop", "999")
    assert unknown.returncode == 1
    assert "999" in unknown.stderr


def test_all_dead_letters_of_a_kind_are_settled_at_once(
    settings: Settings, database: Database, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n, kind in enumerate(["reply", "reply", "claim"]):
        add(database, f"{kind} {n}", kind=kind, payload={"text": "Grüße"})
    for lane in Lane:
        for job in queue.lease(lane, 3, "w", 30):
            queue.bury(job, "Traceback\nValueError: broken")
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)

    def run(*words: str, **more: str) -> Result:
        return CliRunner().invoke(main, ["jobs", *words], **more)  # type: ignore[arg-type]

    [claim] = queue.dead_ids("claim")
    shown = run("show", str(claim)).output
    assert all(text in shown for text in ("claim 2", "Grüße", "Traceback\nValueError: broken"))
    assert "reply" not in run("dead", "--kind", "claim").output
    assert "2 requeued" in run("requeue", "--all", "--kind", "reply").output
    assert run("drop", "--all", input="n").exit_code == 1
    assert states(database) == {"reply 0": "waiting", "reply 1": "waiting", "claim 2": "dead"}
    assert "1 dropped" in run("drop", "--all", "--yes").output
    assert "claim 2" not in states(database)
    assert run("show", str(claim)).exit_code == 1


@pytest.mark.parametrize("words", [[], ["1", "--all"], ["1", "--kind", "reply"]])
def test_which_dead_letters_has_to_be_said_once(words: list[str]) -> None:
    done = CliRunner().invoke(main, ["jobs", "requeue", *words])
    assert done.exit_code == 2
    assert "--all" in done.output


def test_a_wrong_environment_is_a_message_and_not_a_traceback() -> None:
    done = app(None, "worker", PHASE="7")
    assert done.returncode == 2
    assert "DATABASE_URL is missing" in done.stderr
    assert "PHASE" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_worker_says_what_only_it_needs(settings: Settings) -> None:
    done = app(settings, "worker")
    assert done.returncode == 2
    assert "BLUESKY_PASSWORD is missing" in done.stderr


@pytest.mark.parametrize("command", ["migrate", "web", "ingest", "worker", "jobs"])
def test_help_needs_no_environment(command: str) -> None:
    done = CliRunner(env={}).invoke(main, [command, "--help"])
    assert done.exit_code == 0
    assert "Usage" in done.output


@pytest.mark.parametrize("options", [[], ["--reload", "--debug"]], ids=["gunicorn", "develop"])
def test_the_web_role_serves_and_leaves_nothing_in_the_home_folder(
    settings: Settings, database: Database, tmp_path: Path, options: list[str]
) -> None:
    del database  # migrated
    port, home = free_port(), tmp_path / "home"
    home.mkdir()
    env = environment(settings) | {"HOME": str(home), "PORT": str(port)}
    if not options:
        env["PROMETHEUS_MULTIPROC_DIR"] = str(tmp_path / "metrics")
    server = subprocess.Popen(
        [sys.executable, "-m", "app", "web", *options], env=env, start_new_session=True
    )

    def serves() -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
        return False

    try:
        eventually(serves)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(60)
    assert list(home.iterdir()) == []


def test_migrating_makes_the_schema(
    make_settings: Callable[..., Settings], empty_database_url: str
) -> None:
    settings = make_settings(database_url=empty_database_url)
    done = app(settings, "migrate")
    assert done.returncode == 0, done.stderr
    with psycopg.connect(empty_database_url) as conn:
        assert conn.execute("SELECT count(*) FROM jobs").fetchone() == (0,)
