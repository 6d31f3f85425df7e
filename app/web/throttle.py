"""How many requests one address may make. Counted in Redis; by each process alone without it."""

from __future__ import annotations

import time
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

import structlog
from flask import Blueprint, Flask, request
from flask_limiter import Limiter

from app.cache import TIMEOUT_SECONDS
from app.redis import ERRORS, cluster_options, is_cluster
from app.settings import Settings

log = structlog.get_logger(__name__)

LIMITS = {
    "pages": "600 per minute",
    "api": "240 per minute",
    "search": "60 per minute",
    "pictures": "1800 per minute",
    "operator": "240 per minute",
}
GUESSES = "10 per minute"
WINDOW_SECONDS = 60


def init_app(app: Flask, settings: Settings) -> Limiter:
    uri, options = storage(settings.redis_url.get_secret_value() if settings.redis_url else None)
    try:
        return _limit(app, uri, options, enabled=settings.rate_limits)
    except ERRORS as error:  # only a cluster is asked at once
        log.warning("each process counts requests by itself", error=str(error))
        return _limit(app, "memory://", {}, enabled=settings.rate_limits)


def _limit(app: Flask, uri: str, options: dict[str, Any], *, enabled: bool) -> Limiter:
    limiter = Limiter(
        lambda: f"{_group()}/{client()}",
        app=app,
        application_limits=[lambda: LIMITS[_group() or "pages"]],
        enabled=enabled,
        storage_uri=uri,
        storage_options=options,
        strategy="fixed-window",
        key_prefix="ee",
        in_memory_fallback_enabled=True,
        swallow_errors=True,
    )
    limiter.request_filter(lambda: _group() is None)
    return limiter


def against_guessing(limiter: Limiter, blueprint: Blueprint) -> None:
    """Wrong passwords count, over all pages of the blueprint; then even the right one must wait."""
    guess = "Authorization"
    limiter.shared_limit(
        GUESSES,
        scope=f"{blueprint.name} guesses",
        key_func=client,
        deduct_when=lambda answer: answer.status_code == 401 and guess in request.headers,
    )(blueprint)


def storage(url: str | None) -> tuple[str, dict[str, Any]]:
    """Where to count, as Flask-Limiter writes it. `?cluster=true` is explained in app/redis.py."""
    if url is None:
        return "memory://", {}
    if is_cluster(url):
        return f"redis+cluster://{urlsplit(url).netloc}", cluster_options(
            url, timeout=TIMEOUT_SECONDS
        )
    return url, {"socket_timeout": TIMEOUT_SECONDS, "socket_connect_timeout": TIMEOUT_SECONDS}


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
