"""A dashboard of CloudWatch over all parts of a stack. Pure: its body follows from their names."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from components.alarms import GLOBAL_REGION

COLUMNS = 24
ACROSS = 4
HEIGHT = 6
PERIOD = 300

Metric = list[Any]  # namespace, metric, dimensions as pairs, then how it is drawn


@dataclass(frozen=True)
class Parts:
    """What AWS calls the parts of a stack; `machines`, `databases` and `caches` by what we call
    them. A machine is an instance (`i-…`) or a group of them."""

    stack: str
    url: str
    region: str
    distribution: str
    health_check: str
    machines: Mapping[str, str] = field(default_factory=dict)
    databases: Mapping[str, str] = field(default_factory=dict)
    caches: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Chart:
    title: str
    metrics: Sequence[Metric]
    region: str
    statistic: str = "Average"
    unit: str = ""


def body(parts: Parts) -> str:
    """The dashboard as JSON: a row for people, one for machines, one for each kind of server."""
    widgets: list[dict[str, Any]] = [
        {
            "type": "text",
            "x": 0,
            "y": 0,
            "width": COLUMNS,
            "height": 2,
            "properties": {
                "markdown": f"# Etcetera.Exchange, stack {parts.stack}\n"
                f"[The site]({parts.url}) · [how it is doing]({parts.url}/status): queue, replies "
                "and pages, which the stack measures itself"
            },
        }
    ]
    top = 2
    for row in (_site(parts), _machines(parts), _databases(parts), _caches(parts)):
        while charts := list(islice(row, ACROSS)):
            width = COLUMNS // len(charts)
            widgets += [
                _widget(chart, number * width, top, width) for number, chart in enumerate(charts)
            ]
            top += HEIGHT
    return json.dumps({"start": "-PT6H", "widgets": widgets})


def _site(parts: Parts) -> Iterator[Chart]:
    def cdn(metric: str, label: str) -> Metric:
        dimensions = ["DistributionId", parts.distribution, "Region", "Global"]
        return ["AWS/CloudFront", metric, *dimensions, {"label": label}]

    yield Chart(
        "Checks from outside that the site passes",
        [["AWS/Route53", "HealthCheckPercentageHealthy", "HealthCheckId", parts.health_check]],
        GLOBAL_REGION,
        unit="%",
    )
    yield Chart("Requests", [cdn("Requests", "requests")], GLOBAL_REGION, statistic="Sum")
    yield Chart(
        "Requests that fail",
        [cdn("5xxErrorRate", "our fault (5xx)"), cdn("4xxErrorRate", "theirs (4xx)")],
        GLOBAL_REGION,
        unit="%",
    )
    yield Chart("Sent to people", [cdn("BytesDownloaded", "bytes")], GLOBAL_REGION, statistic="Sum")


def _machines(parts: Parts) -> Iterator[Chart]:
    def each(metric: str) -> list[Metric]:
        return [
            [
                "AWS/EC2",
                metric,
                "InstanceId" if one.startswith("i-") else "AutoScalingGroupName",
                one,
                {"label": name},
            ]
            for name, one in parts.machines.items()
        ]

    if parts.machines:
        yield Chart("Machines: CPU", each("CPUUtilization"), parts.region, unit="%")
        yield Chart(
            "Machines: CPU credits left",
            each("CPUCreditBalance"),
            parts.region,
            statistic="Minimum",
        )
        yield Chart(
            "Machines: failed checks", each("StatusCheckFailed"), parts.region, statistic="Maximum"
        )
        yield Chart("Machines: sent", each("NetworkOut"), parts.region, unit="bytes")


def _databases(parts: Parts) -> Iterator[Chart]:
    def each(metric: str, names: Mapping[str, str] = parts.databases) -> list[Metric]:
        return [
            ["AWS/RDS", metric, "DBInstanceIdentifier", one, {"label": name}]
            for name, one in names.items()
        ]

    replicas = {name: one for name, one in parts.databases.items() if name != "primary"}
    if parts.databases:
        yield Chart("PostgreSQL: CPU", each("CPUUtilization"), parts.region, unit="%")
        yield Chart(
            "PostgreSQL: connections",
            each("DatabaseConnections"),
            parts.region,
            statistic="Maximum",
        )
        yield Chart(
            "PostgreSQL: free disk",
            each("FreeStorageSpace"),
            parts.region,
            statistic="Minimum",
            unit="bytes",
        )
        yield Chart(
            "PostgreSQL: CPU credits left",
            each("CPUCreditBalance"),
            parts.region,
            statistic="Minimum",
        )
    if replicas:
        yield Chart(
            "PostgreSQL: how far replicas are behind",
            each("ReplicaLag", replicas),
            parts.region,
            statistic="Maximum",
            unit="s",
        )


def _caches(parts: Parts) -> Iterator[Chart]:
    def each(metric: str) -> list[Metric]:
        return [
            ["AWS/ElastiCache", metric, "CacheClusterId", one, {"label": name}]
            for name, one in parts.caches.items()
        ]

    if parts.caches:
        yield Chart(
            "Valkey: memory in use", each("DatabaseMemoryUsagePercentage"), parts.region, unit="%"
        )
        yield Chart("Valkey: CPU", each("EngineCPUUtilization"), parts.region, unit="%")
        yield Chart("Valkey: hits", each("CacheHitRate"), parts.region, unit="%")
        yield Chart(
            "Valkey: dropped for want of memory", each("Evictions"), parts.region, statistic="Sum"
        )


def _widget(chart: Chart, left: int, top: int, width: int) -> dict[str, Any]:
    return {
        "type": "metric",
        "x": left,
        "y": top,
        "width": width,
        "height": HEIGHT,
        "properties": {
            "title": chart.title,
            "view": "timeSeries",
            "region": chart.region,
            "stat": chart.statistic,
            "period": PERIOD,
            "metrics": list(chart.metrics),
            "yAxis": {"left": {"min": 0, "label": chart.unit, "showUnits": False}},
        },
    }
