"""Data at rest and on the wire is encrypted."""

from collections.abc import Iterator

from infra.policy.graph import Graph
from infra.policy.rule import Breach, Rule, Severity

# The input that must be true, by type. None of them can be switched on later without replacing.
_AT_REST = {
    "aws:rds/instance:Instance": "storageEncrypted",
    "aws:rds/cluster:Cluster": "storageEncrypted",
    "aws:ebs/volume:Volume": "encrypted",
    "aws:elasticache/replicationGroup:ReplicationGroup": "atRestEncryptionEnabled",
    "aws:efs/fileSystem:FileSystem": "encrypted",
}
_DISKS = ("rootBlockDevice", "ebsBlockDevices")
_OLD_TLS = ("TLSv1", "TLSv1_2016", "TLSv1.1_2016", "SSLv3")


def _at_rest(graph: Graph) -> Iterator[Breach]:
    for resource in graph.of(*_AT_REST):
        # A replica within a region takes it from its source.
        replica = resource.get("replicateSourceDb")
        if not replica and resource.get(_AT_REST[resource.type]) is not True:
            yield Breach(resource, f"does not set {_AT_REST[resource.type]}")
    for resource in graph.of("aws:ec2/instance:Instance"):
        if resource.get("launchTemplate"):
            continue  # which says what its disks are like
        disks = [resource.get("rootBlockDevice") or {}, *(resource.get("ebsBlockDevices") or [])]
        if any(disk.get("encrypted") is not True for disk in disks):
            yield Breach(resource, "has a disk that is not encrypted")
    for resource in graph.of("aws:ec2/launchTemplate:LaunchTemplate"):
        disks = [d.get("ebs", {}) for d in resource.get("blockDeviceMappings") or []]
        if not disks or any(str(disk.get("encrypted")).lower() != "true" for disk in disks):
            yield Breach(resource, "starts machines whose disks are not encrypted")


def _in_transit(graph: Graph) -> Iterator[Breach]:
    for resource in graph.of("aws:elasticache/replicationGroup:ReplicationGroup"):
        if resource.get("transitEncryptionEnabled") is not True:
            yield Breach(resource, "does not set transitEncryptionEnabled")
    for resource in graph.of("aws:cloudfront/distribution:Distribution"):
        behaviors = [
            resource.get("defaultCacheBehavior") or {},
            *(resource.get("orderedCacheBehaviors") or []),
        ]
        if any(b.get("viewerProtocolPolicy") == "allow-all" for b in behaviors):
            yield Breach(resource, "answers over plain HTTP")
        if resource.get("viewerCertificate.minimumProtocolVersion") in _OLD_TLS:
            yield Breach(resource, "accepts TLS older than 1.2")
    for resource in graph.of("aws:lb/listener:Listener"):
        redirects = any(a.get("type") == "redirect" for a in resource.get("defaultActions") or [])
        if resource.get("protocol") == "HTTP" and not redirects:
            yield Breach(resource, "serves plain HTTP")


RULES = (
    Rule(
        "encrypted-at-rest",
        Severity.ERROR,
        "What a stolen disk or snapshot holds must be unreadable, and it cannot be switched on "
        "later without replacing the resource",
        "Switch encryption on",
        _at_rest,
    ),
    Rule(
        "encrypted-in-transit",
        Severity.ERROR,
        "Passwords and people's data travel over it",
        "Demand TLS 1.2 or newer",
        _in_transit,
    ),
)
