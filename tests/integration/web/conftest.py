"""Sites on a real PostgreSQL, without a cache and with one on a real Valkey."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.cache import Cache
from app.db import Database
from app.settings import Settings
from app.web import create_app
from tests.integration.web.world import World

Site = Callable[..., Flask]


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


@pytest.fixture
def client(make_settings: Callable[..., Settings], database: Database) -> FlaskClient:
    """A visitor of a site without a cache."""
    return create_app(make_settings(rate_limits="off"), database).test_client()


@pytest.fixture
def cached_settings(make_settings: Callable[..., Settings], redis_url: str) -> Settings:
    return make_settings(phase=1, redis_url=redis_url, rate_limits="off")


@pytest.fixture
def cache(cached_settings: Settings) -> Iterator[Cache]:
    opened = Cache.open(cached_settings)
    yield opened
    opened.close()


@pytest.fixture
def cached_client(cached_settings: Settings, database: Database, cache: Cache) -> FlaskClient:
    """A visitor of a site with a cache."""
    return create_app(cached_settings, database, cache).test_client()
