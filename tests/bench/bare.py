"""The yardstick for pages: Flask with nothing behind it, on the app's own gunicorn."""

from __future__ import annotations

from functools import cache

from flask import Flask


def application() -> Flask:
    app = Flask(__name__)

    @app.get("/<int:size>")
    def page(size: int) -> str:
        """A page of `size` bytes."""
        return filler(size)

    return app


@cache
def filler(size: int) -> str:
    return "<p>And so on, and so forth.</p>\n".ljust(size)
