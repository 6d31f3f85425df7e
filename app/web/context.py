"""What the application carries for its views."""

from __future__ import annotations

from dataclasses import dataclass

from flask import current_app

from app.cache import Cache
from app.db import Database
from app.settings import Settings
from app.web.measure import Measurements
from app.web.reads import Reads

KEY = "etcetera"


@dataclass(frozen=True)
class Context:
    settings: Settings
    database: Database
    cache: Cache
    reads: Reads
    measurements: Measurements
    static_version: str
    release: str
    """Changes with whatever draws pages."""


def context() -> Context:
    found: Context = current_app.extensions[KEY]
    return found


def reads() -> Reads:
    return context().reads
