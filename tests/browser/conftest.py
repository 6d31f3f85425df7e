"""A populated site, and Chromium to look at it."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from uuid import UUID

import psycopg
import pytest
from playwright.sync_api import Browser, HttpCredentials, Page, Request, sync_playwright
from psycopg.sql import SQL, Identifier
from werkzeug.serving import make_server

from app.cache import Cache
from app.clock import utcnow
from app.db import Database
from app.models import User
from app.settings import Settings
from app.web import create_app
from tests.integration.web.world import World, populate, watched_hour
from tests.servers import PostgresServer, ValkeyServer

DATABASE = "browser"
SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
OPERATOR: HttpCredentials = {"username": "operator", "password": "correct horse battery"}
PATIENCE_MS = 120_000
Scheme = Literal["light", "dark"]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass
class Site:
    url: str
    world: World
    people: list[User]
    object_id: UUID


@pytest.fixture(scope="session")
def chromium() -> str:
    """Chromium's executable: of CHROMIUM, or as the system has it."""
    given = [os.environ.get("CHROMIUM"), *map(shutil.which, NAMES)]
    found = next((path for path in given if path), None)
    if found is None:
        pytest.fail(
            "There is no Chromium. Run scripts/test, which installs one, or set CHROMIUM"
            " to the executable of your own.",
            pytrace=False,
        )
    return found


@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Browser]:
    """For this package only: Playwright's event loop runs in the thread of all tests meanwhile."""
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(
            executable_path=chromium,
            timeout=PATIENCE_MS,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ],
        )


@pytest.fixture(scope="session")
def site(postgres: PostgresServer, valkey: ValkeyServer, migrated_template: str) -> Iterator[Site]:
    with psycopg.connect(postgres.url(), autocommit=True) as conn:
        conn.execute(
            SQL("CREATE DATABASE {} TEMPLATE {}").format(
                Identifier(DATABASE), Identifier(migrated_template)
            )
        )
    settings = Settings.from_env(
        {
            "PHASE": "1",
            "DATABASE_URL": postgres.url(DATABASE),
            "REDIS_URL": valkey.url(9),
            "PUBLIC_URL": "http://etcetera.example",
            "SECRET_KEY": "k" * 64,
            "BLUESKY_HANDLE": "etcetera.example",
            "RATE_LIMITS": "off",
            "OPERATOR_PASSWORD": OPERATOR["password"],
        }
    )
    cache = Cache.open(settings)
    with Database.open(settings) as database:
        world = World(database, cache)
        people = populate(world, utcnow())
        world.measure(*watched_hour())
        server = make_server("127.0.0.1", 0, create_app(settings, database, cache), threaded=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with database.read() as conn:
            row = conn.execute("SELECT object_id FROM gifts WHERE status = 'pending'").fetchone()
        assert row is not None
        yield Site(f"http://127.0.0.1:{server.port}", world, people, row["object_id"])
        server.shutdown()
        server.server_close()
    cache.close()


@dataclass
class Visit:
    """A page, and what the browser complained about."""

    page: Page
    complaints: list[str]

    def screenshot(self, name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        # Pictures further down load when scrolled to.
        self.page.evaluate(
            "Promise.all([...document.images].map(i => (i.loading = 'eager', i.decode())))"
        )
        self.page.screenshot(path=str(SCREENSHOTS / f"{name}.png"), full_page=True)


Go = Callable[..., Visit]


@pytest.fixture
def go(browser: Browser, site: Site) -> Iterator[Go]:
    """Opens a path of the site in a fresh browser profile."""
    contexts = []

    def failed(request: Request, complaints: list[str]) -> None:
        if request.failure != "net::ERR_ABORTED":  # what leaving a page does to it
            complaints.append(request.url)

    def visit(
        path: str,
        *,
        width: int = 1280,
        scheme: Scheme = "light",
        javascript: bool = True,
        operator: bool = False,
    ) -> Visit:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            java_script_enabled=javascript,
            reduced_motion="reduce",
            base_url=site.url,
            http_credentials=OPERATOR if operator else None,
        )
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda request: failed(request, complaints))
        page.goto(path)
        return Visit(page, complaints)

    yield visit
    for context in contexts:
        context.close()
