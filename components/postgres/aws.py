"""PostgreSQL on AWS: on RDS, or on the cluster as CloudNativePG runs it."""

from importlib import import_module

import pulumi

from components.postgres.ports import PostgresArgs, PostgresOutputs
from components.target import AwsTarget

HOSTS = {"rds": "rds", "kubernetes": "cloudnativepg"}


def build(
    name: str, args: PostgresArgs, target: AwsTarget, opts: pulumi.ResourceOptions
) -> PostgresOutputs:
    if args.external_url is not None:
        return PostgresOutputs.elsewhere(args.external_url)
    host = import_module(f"components.postgres.{HOSTS[target.size.postgres.hosting]}")
    outputs: PostgresOutputs = host.build(name, args, target, opts)
    return outputs
