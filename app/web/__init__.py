"""The website and its JSON API: a Flask application, configured by `Settings` alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import quote

from flask import Flask, g, url_for
from werkzeug.middleware.proxy_fix import ProxyFix

from app import __version__
from app.cache import Cache
from app.clock import utcnow
from app.db import Database
from app.domain.objects import ODDS
from app.models import Rarity
from app.settings import Settings
from app.web import (
    api,
    assets,
    docs,
    drawn,
    formats,
    http,
    operator,
    ops,
    origin,
    pages,
    pictures,
    problems,
    status,
    throttle,
)
from app.web.context import KEY, Context
from app.web.measure import Measurements
from app.web.reads import Reads


def create_app(
    settings: Settings,
    database: Database,
    cache: Cache | None = None,
    now: Callable[[], datetime] = utcnow,
) -> Flask:
    """The application. `cache` and `now` are for tests; both have their usual values without."""
    app = Flask(__name__, static_folder=None)
    cache = cache or Cache.open(settings)
    app.extensions[KEY] = Context(
        settings=settings,
        database=database,
        cache=cache,
        reads=Reads(database, cache, now),
        measurements=Measurements(),
        static_version=assets.version(),
        release=drawn.release(settings),
    )
    http.init_app(app, secure=settings.public_url.startswith("https:"))
    origin.init_app(app, settings)
    limiter = throttle.init_app(app, settings)
    problems.init_app(app)
    for module in (pages, status, pictures, api, docs, ops, assets):
        app.register_blueprint(module.blueprint)
    if settings.operator_password:
        app.register_blueprint(operator.blueprint)
        throttle.against_guessing(limiter, operator.blueprint)
    _prepare_templates(app, settings)
    if settings.trusted_proxies:
        # Each proxy adds the address it was asked from; the last says how and as what.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=settings.trusted_proxies, x_proto=1, x_host=1)  # type: ignore[method-assign]
    return app


def _prepare_templates(app: Flask, settings: Settings) -> None:
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True}
    for name in ("when", "day", "number", "span", "ago", "duration", "percent", "initial"):
        app.jinja_env.filters[name] = getattr(formats, name)
    app.jinja_env.filters["catalogue_number"] = formats.catalogue_number
    handle = settings.bluesky_handle or "etcetera.exchange"
    app.jinja_env.globals.update(
        settings=settings,
        public_url=settings.public_url,
        bot_handle=handle,
        bot_url=f"https://bsky.app/profile/{quote(handle)}",
        claim_url=f"https://bsky.app/intent/compose?text={quote(f'@{handle} claim')}",
        version=__version__,
        rarities=list(Rarity),
        odds=[(rarity.value, percent / 100) for rarity, percent in ODDS.items()],
        picture=pictures.address,
        profile=pages.bluesky_profile,
        mentions_unit=lambda value: f"{value:.0f} mentions",
        replies_unit=formats.duration,
        points_unit=lambda value: f"{value:.0f} points",
        claims_unit=lambda value: f"{value:.0f} claims",
    )
    static_version = app.extensions[KEY].static_version

    @app.context_processor
    def _per_request() -> dict[str, Any]:
        return {
            "request_id": g.get("request_id", ""),
            "static": lambda name: url_for("assets.file", version=static_version, name=name),
        }
