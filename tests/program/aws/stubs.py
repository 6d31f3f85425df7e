"""An account of AWS whose foundations are made up, for tests of what stands on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from components.alerts.ports import AlertsOutputs
from components.bluesky.ports import BlueskyOutputs
from components.cluster.ports import ClusterOutputs
from components.dns.ports import DnsOutputs
from components.encryption.ports import EncryptionOutputs
from components.network.ports import NetworkOutputs
from components.postgres.ports import PostgresOutputs
from components.redis.ports import RedisOutputs
from components.target import AwsTarget
from components.workload import WorkloadArgs
from infra.aws_sizes import AWS_SIZES, AwsSize
from infra.engine import offline
from infra.engine.offline import Recording
from infra.phases import PHASES

SENTINEL = "s3ntinel"
ACCOUNT = "123456789012"
IMAGE = f"ghcr.io/example/etcetera@sha256:{'0' * 64}"
CONFIG = {"etcetera:region": "us-east-1", "etcetera:accountId": ACCOUNT}
REDIS = f"rediss://:{SENTINEL}@cache.abc.use1.cache.amazonaws.com:6379/0?cluster=true"
POSTGRES = f"postgresql://app:{SENTINEL}@postgres.abc.us-east-1.rds.amazonaws.com:5432/etcetera"


def known(value: str) -> pulumi.Output[str]:
    return pulumi.Output.from_input(value)


def aws_target(phase: int, size: AwsSize | None = None, **changes: Any) -> AwsTarget:
    """To be called within a program."""
    size = size or AWS_SIZES[phase]
    provider = kubernetes.Provider("stub", kubeconfig="{}")
    arn = f"arn:aws:%s:us-east-1:{ACCOUNT}:stub"
    subnets = [known(f"subnet-{zone}") for zone in "ab"]
    target = AwsTarget(
        stack="test",
        phase=phase,
        account_id=ACCOUNT,
        region="us-east-1",
        domain="etcetera.example.com",
        hosted_zone_id=None,
        owner="platform",
        environment="test",
        operator_cidrs=("203.0.113.7/32",),
        alert_email="operators@example.com",
        budget=PHASES[phase].budget,
        image=IMAGE,
        image_pull_secret=None,
        size=size,
        protect=phase > 0,
        providers=[provider],
        encryption=EncryptionOutputs(known(arn % "kms"), known(arn % "kms")),
        alerts=AlertsOutputs(known(arn % "sns"), known(arn % "sns")),
        dns=DnsOutputs(known("Z1"), pulumi.Output.from_input(["ns-1.example"])),
        network=NetworkOutputs(
            vpc_id=known("vpc-1"),
            cidr=size.network.cidr,
            public_subnet_ids=subnets,
            node_subnet_ids=subnets,
            isolated_subnet_ids=subnets,
        ),
        cluster=ClusterOutputs(
            kubeconfig=pulumi.Output.secret("{}"),
            provider=provider,
            address=known("198.51.100.7"),
            address_kind="A",
            node_security_group_id=known("sg-1"),
            machines={"server": known("i-1")},
            node_role_name=known("nodes"),
            storage_class="local-path",
        ),
    )
    return replace(target, **changes)


def workload_args(phase: int, **changes: Any) -> WorkloadArgs:
    """To be called within a program."""
    size = PHASES[phase]
    args = WorkloadArgs(
        phase=size,
        size=size.workload,
        database=PostgresOutputs(
            url=pulumi.Output.secret(POSTGRES),
            reader_url=pulumi.Output.secret(POSTGRES),
            replica_urls=pulumi.Output.secret([POSTGRES] * size.postgres.replicas),
            provision={
                "ADMIN_URL": pulumi.Output.secret(POSTGRES),
                "DATABASE": known("etcetera"),
                "OWNER": known("app"),
                "OWNER_PASSWORD": pulumi.Output.secret(SENTINEL),
            },
        ),
        redis=RedisOutputs(url=pulumi.Output.secret(REDIS)) if size.redis else None,
        bluesky=BlueskyOutputs(
            url=known("https://bsky.social"),
            address=known("https://bsky.social"),
            handle=known("bot.example.com"),
            password=pulumi.Output.secret(SENTINEL),
            couriers=pulumi.Output.secret(f'[{{"handle": "c.example", "password": "{SENTINEL}"}}]'),
        ),
        public_url="https://etcetera.example.com",
        operator="operators@example.com",
        ingest="notifications",
    )
    return replace(args, **changes)


def record(declare: Callable[[], None]) -> Recording:
    """Runs a program that declares one component, or a few."""
    return offline.record("test", CONFIG, {SENTINEL}, run=declare)
