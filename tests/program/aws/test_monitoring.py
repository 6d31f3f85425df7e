"""Decides how a stack on AWS is watched: what its monitor is told and may reach, who hears when the
site is lost, and that the dashboard shows every part. What the monitor makes of what it sees is
decided by tests/unit/monitor and tests/integration/monitor."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from functools import cache
from typing import Any

import pulumi
import pytest

from app.settings import Settings
from components.kubernetes import NAMESPACE, Reach
from components.monitoring import Monitoring, MonitoringArgs
from components.monitoring.cost import cost_lines
from components.monitoring.dashboard import ACROSS, COLUMNS, Parts, body
from infra.aws_sizes import AWS_SIZES
from infra.engine.comparison import compare
from infra.engine.offline import Recording
from infra.phases import PHASES
from infra.policy.graph import Resource, texts
from infra.policy.rule import judge
from infra.policy.rules import rules
from tests.program.aws import stubs

PHASES_ON_AWS = sorted(AWS_SIZES)
WORKERS = f"http+dns://worker.{NAMESPACE}.svc.cluster.local:9100/metrics"
PARTS = Parts(
    stack="test",
    url="https://etcetera.example.com",
    region="eu-west-1",
    distribution="E1",
    health_check="check-1",
    machines={"server": "i-1", "spot": "workers-group"},
    databases={"primary": "db", "replica 1": "db-replica-1"},
    caches={"node 0001-001": "cache-0001-001"},
)


@cache
def recorded(phase: int) -> Recording:
    def declare() -> None:
        app = stubs.workload_args(phase)
        named = replace(app.database, instances={"primary": stubs.known("db-primary")})
        Monitoring(
            "monitor",
            MonitoringArgs(
                phase=PHASES[phase],
                database=named,
                redis=app.redis and replace(app.redis, nodes={"node": stubs.known("cache-1")}),
                targets={"worker": stubs.known(WORKERS)},
                public_url="https://etcetera.example.com",
                distribution_id=stubs.known("EDISTRIBUTION"),
            ),
            stubs.aws_target(phase),
        )

    return stubs.record(declare)


def only(phase: int, type_: str) -> Resource:
    (found,) = recorded(phase).graph.of(type_)
    return found


def environment(phase: int) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in recorded(phase).graph.of("kubernetes:core/v1:*"):
        found |= one.get("data") or {}
        found |= one.get("stringData") or {}
    return found


def charts(document: str) -> Iterator[dict[str, Any]]:
    for widget in json.loads(document)["widgets"]:
        if widget["type"] == "metric":
            yield widget["properties"]


@pytest.mark.parametrize("phase", PHASES_ON_AWS)
def test_the_app_understands_what_its_monitor_is_told(phase: int) -> None:
    settings = Settings.from_env(environment(phase))
    assert settings.monitor_targets == {"worker": WORKERS}
    assert settings.metrics_port == 9100
    # Where people reach it, through the CDN.
    assert (settings.monitor_site, settings.public_url) == (None, "https://etcetera.example.com")
    wanted = {k: v for k, v in vars(PHASES[phase].objectives).items() if v is not None}
    assert settings.monitor_objectives == wanted


def test_the_monitor_reaches_what_it_watches_and_is_one() -> None:
    spec = only(2, "kubernetes:apps/v1:Deployment").get("spec")
    assert spec["replicas"] == 1
    assert spec["strategy"]["type"] == "Recreate"
    labels = spec["template"]["metadata"]["labels"]
    assert {reach.value for reach in Reach} <= labels.keys()


def test_the_look_from_outside_goes_through_the_cdn_to_the_database() -> None:
    check = only(2, "aws:route53/healthCheck:HealthCheck")
    assert check.get("type") == "HTTPS"
    assert check.get("fqdn") == "etcetera.example.com"
    # Not a page, which the CDN would go on showing.
    assert check.get("resourcePath") == "/readyz"


def test_somebody_hears_when_the_site_is_lost_also_when_nobody_looks_any_more() -> None:
    alarm = only(2, "aws:cloudwatch/metricAlarm:MetricAlarm")
    check = only(2, "aws:route53/healthCheck:HealthCheck")
    assert alarm.get("region") == "us-east-1"
    assert alarm.get("dimensions")["HealthCheckId"].startswith(f"{check.name}-")
    assert (alarm.get("comparisonOperator"), alarm.get("threshold")) == ("LessThanThreshold", 1)
    assert alarm.get("treatMissingData") == "breaching"
    assert alarm.get("alarmActions")


def test_the_dashboard_of_a_stack_names_its_parts() -> None:
    document = only(2, "aws:cloudwatch/dashboard:Dashboard").get("dashboardBody")
    for name in ("EDISTRIBUTION", "i-1", "db-primary", "cache-1"):
        assert name in document
    assert "monitor-site-" in document  # the health check


def test_every_part_is_on_the_dashboard_under_the_name_that_cloudwatch_has_for_it() -> None:
    shown = {
        (metric[0], metric[at], metric[at + 1])
        for chart in charts(body(PARTS))
        for metric in chart["metrics"]
        for at in range(2, len(metric) - 1, 2)
        if isinstance(metric[at], str)
    }
    assert shown == {
        ("AWS/Route53", "HealthCheckId", "check-1"),
        ("AWS/CloudFront", "DistributionId", "E1"),
        ("AWS/CloudFront", "Region", "Global"),
        ("AWS/EC2", "InstanceId", "i-1"),
        ("AWS/EC2", "AutoScalingGroupName", "workers-group"),
        ("AWS/RDS", "DBInstanceIdentifier", "db"),
        ("AWS/RDS", "DBInstanceIdentifier", "db-replica-1"),
        ("AWS/ElastiCache", "CacheClusterId", "cache-0001-001"),
    }


def test_charts_look_where_cloudwatch_has_the_figures() -> None:
    for chart in charts(body(PARTS)):
        worldwide = chart["metrics"][0][0] in ("AWS/CloudFront", "AWS/Route53")
        assert chart["region"] == ("us-east-1" if worldwide else "eu-west-1"), chart["title"]


def test_charts_do_not_overlap_and_what_a_stack_does_not_have_is_left_out() -> None:
    few = replace(PARTS, databases={}, caches={})
    assert "AWS/RDS" not in body(few)
    assert "AWS/ElastiCache" not in body(few)
    for document in (body(PARTS), body(few)):
        taken: set[tuple[int, int]] = set()
        for widget in json.loads(document)["widgets"]:
            place = {
                (widget["x"] + right, widget["y"] + down)
                for right in range(widget["width"])
                for down in range(widget["height"])
            }
            assert not taken & place
            assert widget["x"] + widget["width"] <= COLUMNS
            taken |= place
        assert len(list(charts(document))) % ACROSS == len(list(_lag(document)))


def _lag(document: str) -> Iterator[dict[str, Any]]:
    """The one chart that has a row of its own."""
    return (one for one in charts(document) if "behind" in one["title"])


@pytest.mark.parametrize("phase", PHASES_ON_AWS)
def test_secrets_are_nowhere_plain(phase: int) -> None:
    for resource in recorded(phase).graph.resources:
        for path, text in texts(resource.inputs):
            if stubs.SENTINEL in text:
                assert any(path == s or path.startswith(f"{s}.") for s in resource.secrets), path


@pytest.mark.parametrize("phase", PHASES_ON_AWS)
def test_every_policy_is_kept_and_everything_paid_for(phase: int) -> None:
    paid = {name for line in cost_lines("monitor") for name in line.resources}
    recording = recorded(phase)
    found = judge(recording.graph, rules(paid, recording.secrets), [], date(2026, 11, 1))
    # The namespace, and who may speak with whom in it, is the workload's.
    assert [f for f in found if f.blocks and f.rule.name != "default-deny"] == []
    assert paid <= {one.name for one in recording.graph.resources}


@pytest.mark.parametrize("phase", PHASES_ON_AWS[:-1])
def test_the_next_phase_changes_it_in_place(phase: int) -> None:
    comparison = compare(recorded(phase).snapshot(), recorded(phase + 1).snapshot())
    assert comparison.losses() == []
    assert {change.after.type for change in comparison.replaced} <= {
        "kubernetes:core/v1:ConfigMap",
        "kubernetes:core/v1:Secret",
    }


def test_without_a_distribution_there_is_nothing_to_look_at_from_outside() -> None:
    def declare() -> None:
        app = stubs.workload_args(0)
        args = MonitoringArgs(PHASES[0], app.database, None, {}, "https://etcetera.example.com")
        Monitoring("monitor", args, stubs.aws_target(0))

    with pytest.raises((ValueError, pulumi.RunError), match="needs the distribution"):
        stubs.record(declare)
