"""What every request and answer has in common: ids, logs, timing, caching and security headers."""

from __future__ import annotations

import re
import secrets
import time

import structlog
from flask import Flask, Response, g, request

from app.metrics import WEB_SECONDS

log = structlog.get_logger("access")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_QUIET = ("ops.", "assets.")
# Shared caches ask again after a second, so that a claim shows within one. While they ask, and when
# nobody answers, they may answer from what they have.
PAGE = "public, max-age=0, s-maxage=1, stale-while-revalidate=1, stale-if-error=3600"
SLOW_PAGE = "public, max-age=60, s-maxage=300, stale-while-revalidate=300, stale-if-error=86400"
# Asked again every few seconds by everybody who looks: however many do, it is drawn once.
LIVE = "public, max-age=0, s-maxage=3, stale-while-revalidate=5, stale-if-error=60"
NOT_KEPT = "no-store"
# For one person only, whatever stands between here and there.
PRIVATE = "private, no-store"

CONTENT_SECURITY = "; ".join(
    (
        "default-src 'none'",
        "img-src 'self'",
        "style-src 'self'",
        "script-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
# Pictures bring their own styles, and are harmless when opened by themselves.
PICTURE_SECURITY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


def init_app(app: Flask, *, secure: bool) -> None:
    """Hooks it up. `secure` says that the site is served over HTTPS."""

    @app.before_request
    def _begin() -> None:
        given = request.headers.get("X-Request-Id", "")
        g.request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        g.started = time.perf_counter()
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=g.request_id)

    @app.after_request
    def _end(response: Response) -> Response:
        _finish(response, secure=secure)
        _measure(response)
        return response


def _finish(response: Response, *, secure: bool) -> None:
    headers = response.headers
    headers["X-Request-Id"] = g.get("request_id", "")
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "strict-origin-when-cross-origin"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=()"
    headers.setdefault("Content-Security-Policy", CONTENT_SECURITY)
    if secure:
        headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
    if request.path.startswith(("/api/", "/openapi.json")):
        headers["Access-Control-Allow-Origin"] = "*"
    # What may be kept says so itself: whoever forgets it shows nobody another's page.
    headers.setdefault("Cache-Control", NOT_KEPT)
    if request.method in ("GET", "HEAD") and response.status_code == 200:
        if not response.direct_passthrough:
            response.add_etag()
        response.make_conditional(request)


def _measure(response: Response) -> None:
    seconds = time.perf_counter() - g.get("started", time.perf_counter())
    endpoint = request.endpoint or "none"
    if not endpoint.startswith(_QUIET):
        # The route, never the path: paths are many and strangers choose them.
        route = request.url_rule.rule if request.url_rule else "none"
        WEB_SECONDS.labels(endpoint=route, status=str(response.status_code)).observe(seconds)
    write = log.debug if endpoint.startswith(_QUIET) else log.info
    # No address and no query: the site keeps no record of who looked for what.
    write(
        "request",
        method=request.method,
        path=request.path,
        status=response.status_code,
        milliseconds=round(seconds * 1000, 1),
        bytes=response.calculate_content_length(),
    )
