"""Fixtures of the job tests."""

from __future__ import annotations

import pytest

from app.db import Database
from app.jobs.queue import Queue
from tests.integration.jobs.kit import create_effects


@pytest.fixture(autouse=True)
def _effects(database: Database) -> None:
    create_effects(database)


@pytest.fixture
def queue(database: Database) -> Queue:
    return Queue(database)
