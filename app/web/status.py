"""How the exchange is doing: what the database knows and, where there is a monitor, its charts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from flask import Blueprint, Response, make_response, render_template

from app.models import Priority
from app.web import charts, formats, http
from app.web.charts import LineChart
from app.web.context import context, reads
from app.web.ops import health
from app.web.views import Chart, Point

blueprint = Blueprint("status", __name__)

HOURS = 1
PRIORITIES = {
    Priority.HIGH: "Claims",
    Priority.NORMAL: "Gifts and answers",
    Priority.LOW: "Help and inventories",
}
_BY_PRIORITY = {priority.name.lower(): words for priority, words in PRIORITIES.items()}
_PERCENTILES = {"p50": "Half within", "p95": "95 % within"}


@dataclass(frozen=True)
class Subject:
    """A chart as people see it: what its lines are called, and how its values are written."""

    name: str
    title: str
    labels: dict[str, str]
    unit: Callable[[float | None], str]
    at_least: float


def _number(value: float | None) -> str:
    return "–" if value is None else formats.number(value)  # noqa: RUF001


SUBJECTS = (
    Subject("depth", "Jobs not done yet", _BY_PRIORITY, _number, 10),
    Subject("oldest", "Age of the oldest job", _BY_PRIORITY, formats.duration, 1),
    Subject("effect", "From mention to effect", _PERCENTILES, formats.duration, 0.5),
    Subject("reply", "From mention to reply", _PERCENTILES, formats.duration, 0.5),
    Subject("page", "Page time", _PERCENTILES, formats.duration, 0.1),
    Subject(
        "hits",
        "Answers from copies of the data",
        {
            "cdn": "Pages, from the CDN",
            "cache": "Pages, from the cache",
            "replicas": "Data, from replicas",
        },
        formats.percent,
        1,
    ),
    Subject("lag", "How far replicas are behind", {}, formats.duration, 0.1),
    Subject("workers", "Workers", {"running": "Running", "wanted": "Wanted"}, _number, 3),
    Subject("mentions", "Mentions a minute", {"received": "Received"}, _number, 5),
)
POINTS = Subject("points", "Write points left", {}, _number, 1000)


@dataclass(frozen=True)
class Drawing:
    """A subject with what there is to draw."""

    subject: Subject
    chart: LineChart


@blueprint.get("/status")
def page() -> Response:
    found, stats = reads().status(), reads().stats()
    days = [
        Point(at=reads().now() - timedelta(days=len(stats.claims_by_day) - 1 - i), value=day.claims)
        for i, day in enumerate(stats.claims_by_day)
    ]
    history = reads().history(HOURS).charts
    response = make_response(
        render_template(
            "status.html",
            now=reads().now(),
            status=found,
            health=health(),
            web=context().measurements.recent(),
            priorities=PRIORITIES,
            mentions=charts.bar_chart(found.mentions, at_least=5),
            replies=charts.bar_chart(found.replies, at_least=1),
            points=charts.bar_chart(found.write_points, at_least=100),
            days=charts.bar_chart(days, at_least=5),
            drawings=list(_drawings(SUBJECTS, history)),
            points_left=next(_drawings([POINTS], history), None),
        )
    )
    response.headers["Cache-Control"] = http.LIVE
    return response


def _drawings(subjects: Sequence[Subject], history: Sequence[Chart]) -> Iterator[Drawing]:
    """The subjects that were measured, their lines in the order of their words."""
    by_name = {chart.name: chart for chart in history}
    for subject in subjects:
        if subject.name not in by_name:
            continue
        values = {line.label: line.values for line in by_name[subject.name].lines}
        known = [label for label in subject.labels if label in values]
        lines = [(subject.labels[label], values[label]) for label in known]
        if not subject.labels:
            lines = sorted(values.items())
        yield Drawing(subject, charts.line_chart(lines, subject.at_least))
