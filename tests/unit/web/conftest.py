"""A site whose database never answers: enough for what needs none, and for what must not break."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Never, cast

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.db import Connection, Database
from app.settings import Settings
from app.web import create_app


class LostDatabase:
    def query(self, load: Callable[[Connection], Any], **_: Any) -> Never:  # noqa: ARG002
        raise psycopg.OperationalError("connection refused")


def site(**changes: Any) -> Flask:
    env = {
        "PHASE": "0",
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
        "PUBLIC_URL": "https://etcetera.example",
        "SECRET_KEY": "k" * 64,
        "BLUESKY_HANDLE": "etcetera.example",
    }
    env |= {name.upper(): str(value) for name, value in changes.items()}
    return create_app(Settings.from_env(env), cast("Database", LostDatabase()))


@pytest.fixture
def client() -> FlaskClient:
    return site().test_client()
