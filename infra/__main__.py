"""The program: assembles the phase that the configuration names, and exports its outputs."""

from dataclasses import asdict
from datetime import UTC, datetime

import pulumi

from components.bluesky import Bluesky, BlueskyArgs
from components.cdn import Cdn, CdnArgs
from components.edge import Edge, EdgeArgs
from components.monitoring import Monitoring, MonitoringArgs
from components.postgres import Postgres, PostgresArgs
from components.redis import Redis, RedisArgs
from components.target import AwsTarget, Target
from components.workload import Workload, WorkloadArgs
from infra.cost.stack import cost
from infra.phases import Objectives
from infra.preflight import PreflightError, check
from infra.stack import ConfigError, Stack

try:
    stack = Stack.current()
    config, phase, on_aws = stack.config, stack.phase, stack.config.target == "aws"
    target: Target
    if on_aws:
        from infra import foundations  # the libraries of AWS are for stacks on AWS

        target = foundations.lay(stack.account)
    else:
        target = stack.local
        check(target, replicas=phase.postgres.replicas > 0, cdn=phase.cdn is not None)
except (ConfigError, PreflightError) as error:
    raise pulumi.RunError(str(error)) from None

UNLIMITED = (10**9, 10**9)

bluesky = Bluesky(
    "bluesky",
    BlueskyArgs(
        account=stack.bluesky_account,
        limits=stack.bluesky_limits,
        bot_accounts=phase.workload.bot_accounts,
    ),
    target,
)

database = Postgres(
    "postgres",
    PostgresArgs(
        "etcetera",
        phase.postgres,
        external_url=stack.database_url,
        synchronous=config.synchronous_commit,
    ),
    target,
)

redis = (
    Redis("redis", RedisArgs(phase.redis, external_url=stack.redis_url), target)
    if phase.redis
    else None
)

app = Workload(
    "app",
    WorkloadArgs(
        phase=phase,
        size=stack.workload,
        database=database.outputs,
        redis=redis.outputs if redis else None,
        bluesky=bluesky.outputs,
        public_url=stack.public_url,
        operator=config.operator,
        ingest=config.bluesky_ingest,
        write_points=None if stack.bluesky_limits else UNLIMITED,
    ),
    target,
)

# On AWS the CDN also ends TLS and hides the machines, so it is there from the start.
with_cdn = phase.cdn is not None or on_aws

edge = Edge("edge", EdgeArgs(app.outputs.upstream, behind_cdn=with_cdn), target)

cdn = (
    Cdn(
        "cdn",
        CdnArgs(phase.cdn, origin=edge.outputs.address, origin_secret=app.outputs.origin_secret),
        target,
    )
    if with_cdn
    else None
)

web_url = cdn.outputs.url if cdn else edge.outputs.url
metrics = {**app.outputs.metrics, **database.outputs.metrics}
if cdn and cdn.outputs.metrics is not None:
    metrics["cdn"] = cdn.outputs.metrics

# A phase that has something to reach is watched, and so is everything that costs money.
if phase.objectives != Objectives() or on_aws:
    monitor = Monitoring(
        "monitor",
        MonitoringArgs(
            phase=phase,
            database=database.outputs,
            redis=redis.outputs if redis else None,
            targets=dict(metrics),
            public_url=stack.public_url,
            distribution_id=cdn.outputs.distribution_id if cdn else None,
        ),
        target,
    )
    metrics["monitor"] = monitor.outputs.metrics

pulumi.export("phase", phase.number)
pulumi.export("target", target.name)
pulumi.export("web_url", web_url)
pulumi.export("api_url", pulumi.Output.concat(web_url, "/api/v1"))
pulumi.export("status_url", pulumi.Output.concat(web_url, "/status"))
pulumi.export("bot_handle", bluesky.outputs.handle)
pulumi.export("operator_password", app.outputs.operator_password)
pulumi.export("database_url", database.outputs.url)
pulumi.export("reader_url", database.outputs.reader_url)
pulumi.export("replica_urls", database.outputs.replica_urls)
pulumi.export("redis_url", redis.outputs.url if redis else pulumi.Output.secret(""))
pulumi.export("purge_url", cdn.outputs.purge_url if cdn else "")
pulumi.export("purge_token", cdn.outputs.purge_token if cdn else pulumi.Output.secret(""))
pulumi.export("distribution_id", cdn.outputs.distribution_id if cdn else "")
# For who operates a stack on AWS; nothing elsewhere.
ours = target if isinstance(target, AwsTarget) else None
pulumi.export("kubeconfig", ours.cluster.kubeconfig if ours else pulumi.Output.secret(""))
pulumi.export("name_servers", ours.dns.name_servers if ours else [])
pulumi.export("endpoints", {**bluesky.outputs.endpoints, "metrics": metrics})
pulumi.export("slo", {k: v for k, v in asdict(phase.objectives).items() if v is not None})
pulumi.export("cost", cost(config, datetime.now(UTC).date()))
