"""Somebody hears when a part is about to fail, and what happened can be looked up."""

import re
from collections.abc import Iterator

from infra.policy.graph import UNKNOWN, Graph, Resource
from infra.policy.rule import Breach, Rule, Severity

# The metrics that tell of each kind's usual end, any of each line: full disks, full memory,
# replicas that do not follow.
_DATABASE = (("FreeStorageSpace",), ("CPUUtilization", "DBLoad"))
_REPLICA = (*_DATABASE, ("ReplicaLag",))
_CACHE = (("DatabaseMemoryUsagePercentage", "FreeableMemory", "Evictions"),)


def _unwatched(graph: Graph) -> Iterator[Breach]:
    for resource in graph.of("aws:rds/instance:Instance"):
        wanted = _REPLICA if resource.get("replicateSourceDb") else _DATABASE
        yield from _without(graph, resource, wanted)
    for resource in graph.of("aws:elasticache/replicationGroup:ReplicationGroup"):
        yield from _without(graph, resource, _CACHE)


def _without(
    graph: Graph, resource: Resource, wanted: tuple[tuple[str, ...], ...]
) -> Iterator[Breach]:
    watched = {
        alarm.get("metricName")
        for alarm in graph.of("aws:cloudwatch/metricAlarm:MetricAlarm")
        if any(_names(value, resource) for value in (alarm.get("dimensions") or {}).values())
    }
    for metrics in wanted:
        if watched.isdisjoint(metrics):
            yield Breach(resource, f"has no alarm on {' or '.join(metrics)}")


def _names(value: object, resource: Resource) -> bool:
    """Whether a dimension means a resource. A name that the provider made is the logical one with
    hexadecimal digits; a node's is its group's with a number."""
    if value == UNKNOWN:
        return True
    given = resource.get("identifier") or resource.get("replicationGroupId")
    whole = re.escape(str(given)) if given else rf"{re.escape(resource.name)}-[0-9a-f]{{7,12}}"
    return re.fullmatch(rf"{whole}(-\d+)*", str(value)) is not None


def _silent(graph: Graph) -> Iterator[Breach]:
    for resource in graph.of("aws:cloudwatch/metricAlarm:MetricAlarm"):
        if not resource.get("alarmActions"):
            yield Breach(resource, "tells nobody")


def _endless(graph: Graph) -> Iterator[Breach]:
    for resource in graph.of("aws:cloudwatch/logGroup:LogGroup"):
        if not resource.get("retentionInDays"):
            yield Breach(resource, "keeps everything for ever")


RULES = (
    Rule(
        "watched",
        Severity.ERROR,
        "A disk or a memory that is full is an outage that was announced",
        "Add an alarm (components/alarms.py) to the component",
        _unwatched,
    ),
    Rule(
        "alarms-tell",
        Severity.ERROR,
        "An alarm that reaches nobody is none",
        "Name the stack's topic in alarm_actions",
        _silent,
    ),
    Rule(
        "logs-expire",
        Severity.ERROR,
        "Logs hold addresses of people, and their cost only grows",
        "Set retention_in_days",
        _endless,
    ),
)
