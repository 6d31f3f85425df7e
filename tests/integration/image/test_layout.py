"""Decides that the app starts from what its container image holds: no other package, nothing of
the platform, no place to write but /tmp, and a user without name, home or rights. Whether a builder
makes that layout from the Dockerfile is for who has one; its rules: tests/unit/infra/test_image.py.
"""

from __future__ import annotations

import subprocess
import sys
import time

import httpx
import psycopg
import pytest

from tests.integration.image.conftest import Layout
from tests.servers import free_port

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        sys.platform != "linux"
        or subprocess.run(
            ["unshare", "--user", "--map-user=10001", "true"], capture_output=True, check=False
        ).returncode
        != 0,
        reason="needs user namespaces, to be another user with",
    ),
]
START_SECONDS = 60.0


@pytest.fixture
def base(empty_database_url: str) -> dict[str, str]:
    return {
        "PHASE": "0",
        "DATABASE_URL": empty_database_url,
        "PUBLIC_URL": "https://etcetera.example",
        "SECRET_KEY": "k" * 64,
        "LOG_FORMAT": "json",
    }


def bot(port: int) -> dict[str, str]:
    return {
        "BLUESKY_URL": "http://127.0.0.1:1",
        "BLUESKY_HANDLE": "bot.example.com",
        "BLUESKY_PASSWORD": "an-app-password",
        "METRICS_PORT": str(port),
    }


def answer(process: subprocess.Popen[str], url: str, **headers: str) -> httpx.Response:
    """What is answered there, once somebody does."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return httpx.get(url, headers=headers, timeout=10)
        except httpx.TransportError:
            if process.poll() is not None:
                pytest.fail(f"ended with {process.returncode}: {process.stdout.read()}")  # type: ignore[union-attr]
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def test_it_migrates_and_then_serves_the_site(layout: Layout, base: dict[str, str]) -> None:
    migrated = layout.run("-m", "app", "migrate", **base)
    assert migrated.returncode == 0, migrated.stderr
    with psycopg.connect(base["DATABASE_URL"]) as conn:
        assert conn.execute("SELECT count(*) FROM users").fetchone() == (0,)

    port = free_port()
    secret = "only the CDN knows these 32 bytes"
    given = {"PORT": str(port), "ORIGIN_SECRET": secret, "WEB_WORKERS": "1"}
    metrics = {"PROMETHEUS_MULTIPROC_DIR": str(layout.temporary / "metrics")}
    site = f"http://127.0.0.1:{port}"
    with layout.running("web", **base, **given, **metrics) as web:
        assert answer(web, f"{site}/readyz").json()["status"] == "ok"
        home = answer(web, f"{site}/", **{"X-Origin-Secret": secret})
        assert home.status_code == 200
        assert "Etcetera" in home.text
        assert answer(web, f"{site}/").status_code == 403
        style = home.text.partition('rel="stylesheet" href="')[2].partition('"')[0]
        assert answer(web, f"{site}{style}", **{"X-Origin-Secret": secret}).status_code == 200
        assert "etcetera_web_request_seconds" in answer(web, f"{site}/metrics").text
    assert web.returncode == 0


@pytest.mark.parametrize("role", ["worker", "ingest"])
def test_what_talks_to_bluesky_starts_and_ends_when_told_to(
    layout: Layout, base: dict[str, str], role: str
) -> None:
    assert layout.run("-m", "app", "migrate", **base).returncode == 0
    port = free_port()
    with layout.running(role, **base, **bot(port)) as process:
        assert answer(process, f"http://127.0.0.1:{port}/readyz").json()["status"] == "ok"
        assert answer(process, f"http://127.0.0.1:{port}/healthz").status_code == 200
    assert process.returncode == 0


def test_every_role_is_there(layout: Layout) -> None:
    listed = layout.run("-m", "app", "--help")
    assert listed.returncode == 0, listed.stderr
    for role in ("provision", "migrate", "web", "ingest", "worker", "autoscaler", "monitor"):
        assert f"  {role} " in listed.stdout


def test_nothing_of_the_platform_is_there(layout: Layout) -> None:
    for package in ("components", "infra", "pulumi", "boto3", "pytest", "psutil"):
        assert "ModuleNotFoundError" in layout.run("-c", f"import {package}").stderr, package


def test_nothing_can_be_written_but_what_is_temporary(layout: Layout) -> None:
    write = "import sys; open(sys.argv[1] + '/new', 'w')"
    for folder in ("etcetera", "etcetera/app", "venv", "venv/lib"):
        assert "PermissionError" in layout.run("-c", write, str(layout.opt / folder)).stderr, folder
    assert layout.run("-c", write, str(layout.temporary)).returncode == 0
