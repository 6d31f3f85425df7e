"""The monitor as a pod, a look from outside, and a dashboard.

The monitor knows what the app does and whether it reaches its objectives; CloudWatch knows the
machines and servers, and wakes somebody. Who asks from outside the cloud's region is Route 53.
"""

import json
from dataclasses import asdict

import pulumi
import pulumi_aws as aws
import pulumi_random as random
from pulumi_kubernetes import core

from components import kubernetes
from components.alarms import alarm
from components.kubernetes import METRICS_PORT, NAMESPACE, Place, Process, Reach, Resources
from components.monitoring import dashboard
from components.monitoring.ports import MonitoringArgs, MonitoringOutputs
from components.target import AwsTarget
from components.workload.environment import STOP_SECONDS

# It keeps an hour of figures in memory (docs/decisions/0013).
MONITOR = Resources(cpu=50, mb=128, most_mb=256)

# From here, twice a minute each: Amazon's least, and enough to tell a lost site from a lost road.
CHECKED_FROM = ("us-east-1", "eu-west-1", "ap-southeast-1")
CHECK_SECONDS = 30
# Past the CDN's cache, through the origin to the database.
CHECKED_PATH = "/readyz"


def build(
    name: str, args: MonitoringArgs, target: AwsTarget, opts: pulumi.ResourceOptions
) -> MonitoringOutputs:
    if args.distribution_id is None:
        raise ValueError("monitoring on AWS needs the distribution that serves the site")
    check = _health_check(name, args.distribution_id, target, opts)
    aws.cloudwatch.Dashboard(
        f"{name}-dashboard",
        dashboard_name=f"etcetera-{target.stack}",
        dashboard_body=_parts(args, args.distribution_id, check, target).apply(dashboard.body),
        opts=opts,
    )
    service = _monitor(name, args, target, opts)
    url = service.metadata.apply(
        lambda about: f"http://{about.name}.{NAMESPACE}.svc.cluster.local:{METRICS_PORT}"
    )
    return MonitoringOutputs(url=url, metrics=pulumi.Output.concat(url, "/metrics"))


def _monitor(
    name: str, args: MonitoringArgs, target: AwsTarget, opts: pulumi.ResourceOptions
) -> core.v1.Service:
    # One of its own, which the app demands of all: the bot's sessions are not for the monitor.
    secret_key = random.RandomPassword(
        f"{name}-secret-key", length=48, special=False, opts=opts
    ).result
    limits = {k: v for k, v in asdict(args.phase.objectives).items() if v is not None}
    environment: dict[str, pulumi.Input[str]] = {
        "PHASE": str(args.phase.number),
        "DATABASE_URL": args.database.url,
        "REPLICA_URLS": args.database.replica_urls.apply(",".join),
        "PUBLIC_URL": args.public_url,
        "SECRET_KEY": secret_key,
        "METRICS_PORT": str(METRICS_PORT),
        "MONITOR_TARGETS": pulumi.Output.json_dumps(dict(args.targets)),
        "MONITOR_OBJECTIVES": json.dumps(limits),
    }
    if args.redis is not None:
        environment["REDIS_URL"] = args.redis.url
    process = Process(
        name="monitor",
        role="monitor",
        environment=environment,
        port=METRICS_PORT,
        resources=MONITOR,
        stop_seconds=STOP_SECONDS,
        update="recreate",  # two would draw each chart twice
        reaches=(Reach.DATA, Reach.INTERNET, Reach.METRICS),
    )
    # There are targets when the app's namespace is there, and its tables.
    namespace = pulumi.Output.all(*args.targets.values()).apply(lambda _: NAMESPACE)
    place = Place("monitoring", namespace, target, opts)
    kubernetes.deployment(name, process, place)
    return kubernetes.headless(f"{name}-pods", process, place)


def _health_check(
    name: str,
    distribution_id: pulumi.Output[str],
    target: AwsTarget,
    opts: pulumi.ResourceOptions,
) -> aws.route53.HealthCheck:
    check = aws.route53.HealthCheck(
        f"{name}-site",
        type="HTTPS",
        # Once there is somebody to answer.
        fqdn=distribution_id.apply(lambda _: target.domain),
        port=443,
        resource_path=CHECKED_PATH,
        enable_sni=True,
        request_interval=CHECK_SECONDS,
        failure_threshold=3,
        regions=list(CHECKED_FROM),
        tags=target.tags("monitoring", f"{name}-site"),
        opts=opts,
    )
    alarm(
        f"{name}-site-down",
        target,
        "monitoring",
        why=f"https://{target.domain}{CHECKED_PATH} does not answer as seen from outside. "
        "docs/aws.md, “When the site is down”, says where to look first",
        namespace="AWS/Route53",
        metric="HealthCheckStatus",
        dimensions={"HealthCheckId": check.id},
        below=1,
        statistic="Minimum",
        minutes=1,
        periods=2,
        missing="breaching",
        everywhere=True,
        opts=opts,
    )
    return check


def _parts(
    args: MonitoringArgs,
    distribution_id: pulumi.Output[str],
    check: aws.route53.HealthCheck,
    target: AwsTarget,
) -> pulumi.Output[dashboard.Parts]:
    redis = args.redis.nodes if args.redis else {}
    return pulumi.Output.all(
        distribution=distribution_id,
        health_check=check.id,
        machines=dict(target.cluster.machines),
        databases=dict(args.database.instances),
        caches=dict(redis),
    ).apply(
        lambda names: dashboard.Parts(
            stack=target.stack, url=args.public_url, region=target.region, **names
        )
    )
