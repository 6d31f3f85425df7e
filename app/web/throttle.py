"""How many requests one address may make. Counted in Redis; by each process alone without it."""

from __future__ import annotations

import time
from ipaddress import IPv6Address, ip_address, ip_network

from flask import Flask, request
from flask_limiter import Limiter

from app.cache import TIMEOUT_SECONDS
from app.settings import Settings

LIMITS = {
    "pages": "600 per minute",
    "api": "240 per minute",
    "search": "60 per minute",
    "pictures": "1800 per minute",
}
WINDOW_SECONDS = 60


def init_app(app: Flask, settings: Settings) -> None:
    options = {}
    if settings.redis_url:
        options = {"socket_timeout": TIMEOUT_SECONDS, "socket_connect_timeout": TIMEOUT_SECONDS}
    limiter = Limiter(
        lambda: f"{_group()}/{client()}",
        app=app,
        application_limits=[lambda: LIMITS[_group() or "pages"]],
        enabled=settings.rate_limits,
        storage_uri=settings.redis_url.get_secret_value() if settings.redis_url else "memory://",
        storage_options=options,  # type: ignore[arg-type]  # passed on to redis-py as they are
        strategy="fixed-window",
        key_prefix="ee",
        in_memory_fallback_enabled=True,
        swallow_errors=True,
    )
    limiter.request_filter(lambda: _group() is None)


def client() -> str:
    """Who asks: an IPv4 address, or the /64 that one IPv6 household has."""
    address = request.remote_addr or "unknown"
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, 64), strict=False))
    return str(parsed)


def retry_after() -> int:
    """Seconds until the current window ends, for who exceeded it."""
    return WINDOW_SECONDS - int(time.time()) % WINDOW_SECONDS


def _group() -> str | None:
    """What the request counts as; None for what is never refused: files, health, metrics."""
    blueprint, _, name = (request.endpoint or "").rpartition(".")
    if name == "search":
        return "search"
    return blueprint if blueprint in LIMITS else None
