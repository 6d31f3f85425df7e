"""Nothing that holds data is reached from the internet; machines guard their credentials."""

from collections.abc import Iterator
from typing import Any

from infra.policy.graph import UNKNOWN, Graph
from infra.policy.rule import Breach, Rule, Severity

_ANYWHERE = ("0.0.0.0/0", "::/0")
_PUBLIC_PORTS = frozenset({80, 443})


def _public(graph: Graph) -> Iterator[Breach]:
    for resource in graph.of(
        "aws:rds/instance:Instance", "aws:rds/clusterInstance:ClusterInstance"
    ):
        if resource.get("publiclyAccessible") is True:
            yield Breach(resource, "is publicly accessible")
    blocked = {
        resource.get("bucket")
        for resource in graph.of("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
        if all(
            resource.get(key) is True
            for key in (
                "blockPublicAcls",
                "blockPublicPolicy",
                "ignorePublicAcls",
                "restrictPublicBuckets",
            )
        )
    }
    for resource in graph.of("aws:s3/bucket:Bucket", "aws:s3/bucketV2:BucketV2"):
        names = {resource.get("bucket"), resource.get("id"), resource.get("bucketName")}
        if UNKNOWN in blocked:
            continue
        if not any(str(b).startswith(resource.name) or b in names - {None} for b in blocked):
            yield Breach(resource, "has no full public access block")


def _open_ports(graph: Graph) -> Iterator[Breach]:
    for resource in graph.of("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"):
        if resource.get("cidrIpv4") in _ANYWHERE or resource.get("cidrIpv6") in _ANYWHERE:
            yield from _too_wide(resource, resource.inputs)
    for resource in graph.of("aws:ec2/securityGroup:SecurityGroup"):
        for rule in resource.get("ingress") or []:
            if {*(rule.get("cidrBlocks") or []), *(rule.get("ipv6CidrBlocks") or [])} & {
                *_ANYWHERE
            }:
                yield from _too_wide(resource, rule)
    for resource in graph.of("aws:ec2/securityGroupRule:SecurityGroupRule"):
        if resource.get("type") == "ingress" and set(resource.get("cidrBlocks") or []) & {
            *_ANYWHERE
        }:
            yield from _too_wide(resource, resource.inputs)


def _too_wide(resource: Any, rule: Any) -> Iterator[Breach]:
    first, last = rule.get("fromPort"), rule.get("toPort")
    if first != last or first not in _PUBLIC_PORTS:
        yield Breach(resource, f"lets the internet in on ports {first} to {last}")


def _metadata(graph: Graph) -> Iterator[Breach]:
    for resource in graph.of("aws:ec2/instance:Instance", "aws:ec2/launchTemplate:LaunchTemplate"):
        if resource.get("launchTemplate"):
            continue  # which says how metadata is asked for
        if resource.get("metadataOptions.httpTokens") != "required":
            yield Breach(resource, "answers metadata requests without a token (IMDSv1)")


def _eks(graph: Graph) -> Iterator[Breach]:
    for resource in graph.of("aws:eks/cluster:Cluster"):
        if resource.get("vpcConfig.endpointPublicAccess") is not False and set(
            resource.get("vpcConfig.publicAccessCidrs") or _ANYWHERE
        ) & {*_ANYWHERE}:
            yield Breach(resource, "has an API that the whole internet reaches")


RULES = (
    Rule(
        "private-data",
        Severity.ERROR,
        "A database or bucket that the internet reaches is one password away from a leak",
        "Keep it in isolated subnets and block public access",
        _public,
    ),
    Rule(
        "no-open-ports",
        Severity.ERROR,
        "Only the website is for everybody",
        "Name the addresses that may come in; for a shell use Session Manager",
        _open_ports,
    ),
    Rule(
        "imdsv2-only",
        Severity.ERROR,
        "A forged request of the app could otherwise read the machine's credentials",
        'Set metadataOptions.httpTokens to "required"',
        _metadata,
    ),
    Rule(
        "private-cluster-api",
        Severity.ERROR,
        "The cluster's API decides everything that runs",
        "Restrict publicAccessCidrs to operators, or switch the public endpoint off",
        _eks,
    ),
)
