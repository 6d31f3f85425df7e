"""Decides: ids, the game's day, log lines."""

import json
import logging
from datetime import UTC, datetime, timedelta, timezone

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from app import clock, ids, logs
from app.settings import Settings

AWARE = st.datetimes(
    min_value=datetime(2000, 1, 1),
    timezones=st.builds(timezone, st.timedeltas(timedelta(hours=-23), timedelta(hours=23))),
)


def test_ids_sort_by_the_time_they_were_made() -> None:
    made = [ids.new_id() for _ in range(1000)]
    assert made == sorted(made)
    assert all(each.version == 7 for each in made)


def test_short_ids_made_together_differ() -> None:
    shorts = {ids.short(ids.new_id()) for _ in range(500)}
    assert len(shorts) == 500
    assert all(len(each) == ids.SHORT_LENGTH for each in shorts)


@given(AWARE.filter(lambda moment: moment.year < 9990))
def test_the_next_day_begins_within_24_hours_at_utc_midnight(moment: datetime) -> None:
    begins = clock.next_day(moment)
    assert timedelta(0) < begins - moment <= timedelta(days=1)
    assert clock.start_of(clock.day_of(begins)) == begins
    assert clock.start_of(clock.day_of(moment)) <= moment


@pytest.mark.parametrize("key", ["password", "DATABASE_URL", "session_token", "jwt"])
def test_a_log_line_is_json_and_hides_secrets(
    key: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    settings = Settings.from_env(
        {
            "PHASE": "0",
            "DATABASE_URL": "postgresql://u:p@127.0.0.1/d",
            "PUBLIC_URL": "http://127.0.0.1",
            "SECRET_KEY": "k" * 32,
        }
    )
    before = structlog.get_config()
    try:
        logs.configure(settings, "worker")
        structlog.get_logger("test").warning("hello", **{key: "hunter2"}, count=3)
    finally:
        structlog.configure(**before)
    line = json.loads(capsys.readouterr().err)
    assert line["event"] == "hello"
    assert (line["role"], line["level"], line["count"], line[key]) == (
        "worker",
        "warning",
        3,
        "***",
    )
    assert datetime.fromisoformat(line["timestamp"]).astimezone(UTC)
