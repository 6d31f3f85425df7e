"""Rules over several keys of a stack file. Each yields (key, what is wrong with it)."""

from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from pydantic.alias_generators import to_camel

from components.postgres import limits
from infra import addresses
from infra.aws_sizes import AWS_SIZES
from infra.config.aws import REQUIRED, AwsKeys
from infra.config.local import LocalKeys
from infra.config.sizing import aws_size
from infra.cost.book import PriceBook
from infra.cost.regions import REGIONS
from infra.phases import PHASES

if TYPE_CHECKING:
    from infra.config.stack import StackConfig

Problem = tuple[str, str]

FIRST_EKS_PHASE = 2
# The key of a type or class, and the items of the price book that it must be among.
PRICED = {
    "node_type": "ec2",
    "worker_type": "ec2",
    "database_class": "rds.postgres",
    "replica_class": "rds.postgres",
    "redis_node_type": "elasticache.valkey",
}


def problems(config: "StackConfig") -> Iterator[Problem]:
    """Everything that is wrong with keys that are each right by themselves."""
    yield from _redis(config)
    yield from _bluesky(config)
    yield from _keys_of_other_targets(config)
    if config.target == "aws":
        yield from _required(config)
        yield from _region(config)
        yield from _network(config)
        yield from _types(config)
        yield from _cluster(config)
        yield from _database(config)


def _redis(config: "StackConfig") -> Iterator[Problem]:
    if PHASES[config.phase].redis is None:
        for key in ("redis_url", "redis_node_type"):
            if getattr(config, key) is not None:
                yield key, f"phase {config.phase} has no Redis; remove it, or use phase 1"


def _bluesky(config: "StackConfig") -> Iterator[Problem]:
    given = (config.bluesky_url, config.bluesky_handle, config.bluesky_password)
    if any(given) and not all(given):
        yield "bluesky_url", "blueskyUrl, blueskyHandle and blueskyPassword go together"
    if config.bluesky_couriers is not None and not all(given):
        yield "bluesky_couriers", "couriers need blueskyUrl and the bot's own account"
    if config.bluesky_handle in config.courier_handles:
        yield "bluesky_couriers", "the bot's own account is no courier"
    if config.target == "aws" and not any(given):
        yield (
            "bluesky_url",
            "is required on aws, with blueskyHandle and blueskyPassword: only this machine can "
            "have a Bluesky network of its own",
        )


def _keys_of_other_targets(config: "StackConfig") -> Iterator[Problem]:
    target, others = ("aws", LocalKeys) if config.target == "aws" else ("local", AwsKeys)
    other = "local" if target == "aws" else "aws"
    for key in sorted(config.model_fields_set & others.model_fields.keys()):
        yield key, f"is for target {other}, and this stack's is {target}; remove it"


def _required(config: "StackConfig") -> Iterator[Problem]:
    for key in REQUIRED:
        if not getattr(config, key):
            yield key, "is required on aws"


def _region(config: "StackConfig") -> Iterator[Problem]:
    if config.region not in REGIONS:
        yield (
            "region",
            f"{config.region} is not known to have every service of a stack; known are "
            + ", ".join(sorted(REGIONS)),
        )


def _network(config: "StackConfig") -> Iterator[Problem]:
    if config.vpc_cidr is None:
        return
    for reason in addresses.refusals(config.vpc_cidr):
        yield "vpc_cidr", reason
    own = IPv4Network(config.vpc_cidr)
    for given in config.operator_cidrs:
        if own.overlaps(IPv4Network(given)):
            yield "operator_cidrs", f"{given} overlaps the stack's own network {own}"


def _types(config: "StackConfig") -> Iterator[Problem]:
    prices = PriceBook.load().prices
    for key, family in PRICED.items():
        value = getattr(config, key)
        if value is not None and f"{family}.{value}" not in prices:
            known = [i.removeprefix(f"{family}.") for i in prices if i.startswith(f"{family}.")]
            yield key, f"{value} is unknown or has no price; known are {', '.join(known)}"


def _cluster(config: "StackConfig") -> Iterator[Problem]:
    if config.kubernetes == "eks" and config.phase < FIRST_EKS_PHASE:
        yield (
            "kubernetes",
            f"eks alone costs 73 dollars a month, more than phase {config.phase} can spare; "
            f"use k3s, or phase {FIRST_EKS_PHASE}",
        )
    if config.worker_type is not None and AWS_SIZES[config.phase].cluster.spot is None:
        yield (
            "worker_type",
            f"phase {config.phase} has no machines of their own for workers; remove it, or use "
            "phase 1",
        )


def _database(config: "StackConfig") -> Iterator[Problem]:
    if PHASES[config.phase].postgres.replicas == 0:
        for key in ("database_replicas", "replica_class"):
            if getattr(config, key):
                yield key, f"phase {config.phase} has no replicas; remove it, or use phase 2"
    elif config.database_replicas == 0:
        yield (
            "database_replicas",
            f"phase {config.phase} reads from replicas; use 1 or more, or phase 1",
        )
    hosting = config.postgres_hosting or AWS_SIZES[config.phase].postgres.hosting
    if hosting == "kubernetes":
        for key in ("database_class", "replica_class", "multi_az"):
            if getattr(config, key):
                yield key, "is for postgresHosting rds; set nodeType instead, or remove it"
    if config.database_url is not None:
        own = ("postgres_hosting", "database_class", "replica_class", "database_replicas")
        for key in (*own, "database_storage", "multi_az", "backup_days"):
            if getattr(config, key) is not None:
                yield key, "is for a database of the stack's own, and databaseUrl names another"
    elif not list(_types(config)):  # sizes of what is unknown are unknown
        yield from limits.problems(
            aws_size(config), PHASES[config.phase], synchronous=config.synchronous_commit
        )


def named(found: Iterator[Problem]) -> list[str]:
    """One line for each, the key as in the file, a bar, and the reason."""
    return [f"{to_camel(key)}|{reason}" for key, reason in found]
