"""Decides what a deployment's timeline says: what was waited for, and the longest chain."""

import io

import pytest
from rich.console import Console

from infra.engine.timeline import Span, Timeline


@pytest.fixture
def timeline() -> Timeline:
    spans = [
        Span("edge", "create", 5.1, 5.5),
        Span("password", "create", 0.1, 0.11),
        Span("database", "create", 0.2, 1.2),
        Span("redis", "create", 0.1, 0.9),
        Span("migrations", "create", 1.3, 2.3),
        Span("web", "create", 2.4, 5.0),
        Span("bluesky", "create", 0.1, 4.0),
    ]
    dependencies = {
        "database": ["password"],
        "migrations": ["database"],
        "web": ["redis", "migrations", "somewhere-else"],
        "edge": ["web"],
    }
    return Timeline.of(5.8, spans, dependencies)


def test_a_resource_waited_for_the_dependency_that_was_ready_last(timeline: Timeline) -> None:
    assert {span.name: span.after for span in timeline.spans} == {
        "password": None,
        "redis": None,
        "bluesky": None,
        "database": "password",
        "migrations": "database",
        "web": "migrations",
        "edge": "web",
    }


def test_the_critical_path_is_the_chain_to_what_was_ready_last(timeline: Timeline) -> None:
    path = [span.name for span in timeline.critical_path]
    assert path == ["password", "database", "migrations", "web", "edge"]
    assert timeline.critical_seconds == pytest.approx(0.01 + 1.0 + 1.0 + 2.6 + 0.4)


def test_it_is_told_how_far_the_whole_is_from_the_critical_path(timeline: Timeline) -> None:
    screen = io.StringIO()
    timeline.show(Console(file=screen, width=120))
    lines = screen.getvalue().splitlines()
    assert [line.split()[0] for line in lines[1:7]] == [
        "redis", "bluesky", "database", "migrations", "web", "edge",
    ]  # fmt: skip
    assert "1 more took less than 0.05 s each" in lines
    assert "Critical path: 5.0 s of 5.8 s" in screen.getvalue()
    assert "0.8 s more than it had to take" in screen.getvalue()


def test_bars_stay_within_their_column(timeline: Timeline) -> None:
    screen = io.StringIO()
    timeline.show(Console(file=screen, width=200))
    bars = [line for line in screen.getvalue().splitlines() if "█" in line]
    assert len({line.index("█") for line in bars if "bluesky" in line or "redis" in line}) == 1
    assert all(line.count("█") <= 32 for line in bars)


def test_a_deployment_of_nothing_has_a_timeline() -> None:
    empty = Timeline.of(0.0, [], {})
    empty.show(Console(file=io.StringIO()))
    assert empty.as_dict() == {
        "total": 0.0,
        "criticalPath": [],
        "criticalSeconds": 0,
        "resources": [],
    }
