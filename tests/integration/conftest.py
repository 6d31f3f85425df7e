"""What all these tests share: patience of the app with servers that are only slow."""

import pytest


@pytest.fixture(autouse=True)
def _patient_with_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a Redis may take longer to answer than the app would wait for it, and is
    neither dead nor hung. Tests that hang it wait that much longer."""
    monkeypatch.setattr("app.cache.TIMEOUT_SECONDS", 3.0)
    monkeypatch.setattr("app.web.throttle.TIMEOUT_SECONDS", 3.0)
    monkeypatch.setattr("app.redis.LAYOUT_SECONDS", 3.0)
    monkeypatch.setattr("app.jobs.streams._TIMEOUT", 3.0)
    monkeypatch.setattr("app.health._REDIS_SECONDS", 3.0)
