"""Only the CDN may ask: it sends a header whose value nobody else knows.

The origin's address is public, and whoever went there directly would pass by the CDN's limits and
could claim any address to be the visitor's.
"""

from __future__ import annotations

import hmac

from flask import Flask, request
from werkzeug.exceptions import Forbidden, NotFound

from app.settings import Settings

HEADER = "X-Origin-Secret"
_PROBES = ("ops.healthz", "ops.readyz")  # asked by who starts and stops this process
_METRICS = "ops.metrics"


def init_app(app: Flask, settings: Settings) -> None:
    """Without `origin_secret` everybody is answered."""
    if settings.trusted_proxies:

        @app.before_request
        def _keep_metrics() -> None:
            """Metrics are read on the process's own port, not through a proxy."""
            if request.endpoint == _METRICS and "X-Forwarded-For" in request.headers:
                raise NotFound

    if settings.origin_secret is None:
        return
    secret = settings.origin_secret.get_secret_value().encode()

    @app.before_request
    def _know_the_cdn() -> None:
        if request.endpoint in (*_PROBES, _METRICS):
            return
        if not hmac.compare_digest(request.headers.get(HEADER, "").encode(), secret):
            raise Forbidden("This is not the address of the site.")
