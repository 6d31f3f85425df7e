"""Alarms of CloudWatch. Each component declares those of its own parts."""

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_aws as aws

from components.alerts.ports import AlertsOutputs
from components.target import AwsAccount, AwsTarget
from components.thresholds import Threshold

GLOBAL_REGION = "us-east-1"  # where CloudFront and Route 53 have their metrics


def alarm(
    name: str,
    target: AwsAccount,
    component: str,
    *,
    why: str,
    namespace: str,
    metric: str,
    dimensions: Mapping[str, pulumi.Input[str]],
    above: float | None = None,
    below: float | None = None,
    statistic: str = "Average",
    minutes: int = 5,
    periods: int = 3,
    missing: str = "missing",
    everywhere: bool = False,
    actions: Sequence[str] = (),
    alerts: AlertsOutputs | None = None,
    opts: pulumi.ResourceOptions,
) -> aws.cloudwatch.MetricAlarm:
    """Tells the stack's topic when a metric is `above` or `below` a limit for `periods` times
    `minutes`. `why` says what is wrong then and what to do. `everywhere`: a metric of the global
    services. `actions` are taken beside telling. `alerts` is for foundations, which are laid before
    the target knows them."""
    limit = above if above is not None else below
    if limit is None:
        raise ValueError(f"{name} needs a limit: above or below")
    if alerts is None:
        if not isinstance(target, AwsTarget):
            raise TypeError(f"{name} needs the alerts: {target.stack} has no foundations yet")
        alerts = target.alerts
    topic = alerts.global_topic_arn if everywhere else alerts.topic_arn
    return aws.cloudwatch.MetricAlarm(
        name,
        alarm_description=why,
        namespace=namespace,
        metric_name=metric,
        dimensions=dict(dimensions),
        statistic=statistic,
        comparison_operator="GreaterThanThreshold" if above is not None else "LessThanThreshold",
        threshold=limit,
        period=60 * minutes,
        evaluation_periods=periods,
        treat_missing_data=missing,
        alarm_actions=[topic, *actions],
        ok_actions=[topic],
        region=GLOBAL_REGION if everywhere else None,
        tags=target.tags(component, name),
        opts=opts,
    )


def watch(
    server: str,
    target: AwsTarget,
    component: str,
    thresholds: Sequence[Threshold],
    *,
    namespace: str,
    dimensions: Mapping[str, pulumi.Input[str]],
    opts: pulumi.ResourceOptions,
) -> None:
    """One alarm for each threshold of one server."""
    for limit in thresholds:
        alarm(
            f"{server}-{limit.name}",
            target,
            component,
            why=limit.why,
            namespace=namespace,
            metric=limit.metric,
            dimensions=dimensions,
            above=limit.above,
            below=limit.below,
            statistic=limit.statistic,
            minutes=limit.minutes,
            periods=limit.periods,
            opts=opts,
        )
