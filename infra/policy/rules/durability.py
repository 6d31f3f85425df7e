"""What cannot be made again is protected and backed up."""

from collections.abc import Iterator, Mapping
from typing import Any

from infra.policy.graph import Graph, Resource
from infra.policy.rule import Breach, Rule, Severity

STATEFUL = (
    "aws:rds/instance:Instance",
    "aws:rds/cluster:Cluster",
    "aws:elasticache/replicationGroup:ReplicationGroup",
    "aws:s3/bucket:Bucket",
    "aws:s3/bucketV2:BucketV2",
    "aws:kms/key:Key",
    "aws:secretsmanager/secret:Secret",
    "aws:route53/zone:Zone",
    "aws:ebs/volume:Volume",
    "kubernetes:postgresql.cnpg.io/v1:Cluster",
)
"""Types whose loss or replacement loses something."""


def stateful(type_: str, inputs: Mapping[str, Any]) -> bool:
    """Whether a resource holds what nothing else does; a replica is made again from its source."""
    return type_ in STATEFUL and not inputs.get("replicateSourceDb")


# A cache is made again from the database; a zone and a secret are protected, not backed up.
_DATABASES = ("aws:rds/instance:Instance", "aws:rds/cluster:Cluster")
_LEAST_DAYS = 7


def _unprotected(graph: Graph) -> Iterator[Breach]:
    if graph.phase == "phase0":
        return  # a phase to try things out in
    for resource in graph.of(*STATEFUL):
        if not resource.protect and not _replica(resource):
            yield Breach(resource, "can be deleted by an update or a destroy")
    for resource in graph.of(*_DATABASES):
        if resource.get("deletionProtection") is not True and not _replica(resource):
            yield Breach(resource, "can be deleted in the console (no deletionProtection)")


def _replica(resource: Resource) -> bool:
    """Read replicas are made again from their primary."""
    return bool(resource.get("replicateSourceDb"))


def _no_backup(graph: Graph) -> Iterator[Breach]:
    for resource in graph.of(*_DATABASES):
        if _replica(resource):
            continue
        days = resource.get("backupRetentionPeriod")
        if not isinstance(days, int | float) or days < _LEAST_DAYS:
            yield Breach(resource, f"keeps backups for {days or 0:g} days")
        if resource.get("skipFinalSnapshot") is not False:
            yield Breach(resource, "leaves no snapshot when it is deleted")
    for resource in graph.of("kubernetes:postgresql.cnpg.io/v1:Cluster"):
        if not resource.get("spec.backup"):
            yield Breach(resource, "has no backup")


RULES = (
    Rule(
        "protected",
        Severity.ERROR,
        "From phase 1 on a mistaken edit must not delete what cannot be made again",
        "Set protect and, for databases, deletionProtection",
        _unprotected,
    ),
    Rule(
        "backed-up",
        Severity.ERROR,
        "Restoring to a point in time needs backups from before the mistake",
        f"Keep backups for {_LEAST_DAYS} days or more, and a final snapshot",
        _no_backup,
    ),
)
