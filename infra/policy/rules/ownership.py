"""Whatever costs money says whose it is, and what it costs is known."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from infra.policy.graph import Graph, Resource
from infra.policy.rule import Breach, Rule, Severity

TAGS = ("project", "stack", "phase", "component", "owner", "env")
"""Every taggable resource has them; bills and budgets are grouped by them."""

# Resources of AWS that take no tags, or whose tags mean something else.
UNTAGGED = (
    "aws:ec2/route:Route",
    "aws:ec2/routeTableAssociation:RouteTableAssociation",
    "aws:ec2/mainRouteTableAssociation:MainRouteTableAssociation",
    "aws:ec2/eipAssociation:EipAssociation",
    "aws:ec2/volumeAttachment:VolumeAttachment",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    "aws:secretsmanager/secretVersion:SecretVersion",
    "aws:secretsmanager/secretPolicy:SecretPolicy",
    "aws:kms/alias:Alias",
    "aws:s3/bucket*",
    "aws:route53/record:Record",
    "aws:acm/certificateValidation:CertificateValidation",
    "aws:cloudfront/originAccessControl:OriginAccessControl",
    "aws:cloudfront/cachePolicy:CachePolicy",
    "aws:cloudfront/originRequestPolicy:OriginRequestPolicy",
    "aws:cloudfront/responseHeadersPolicy:ResponseHeadersPolicy",
    "aws:cloudwatch/dashboard:Dashboard",
    "aws:sns/topicPolicy:TopicPolicy",
    "aws:sns/topicSubscription:TopicSubscription",
    "aws:autoscaling/attachment:Attachment",
)
LABELS = ("name", "component", "part-of", "managed-by")
"""Of every object in the cluster, each after `app.kubernetes.io/`."""

_FREE = (
    *UNTAGGED,
    "aws:ec2/vpc*",
    "aws:ec2/subnet*",
    "aws:ec2/internetGateway*",
    "aws:ec2/routeTable*",
    "aws:ec2/defaultSecurityGroup*",
    "aws:ec2/networkInterface*",
    "aws:ec2/securityGroup*",
    "aws:ec2/launchTemplate*",
    "aws:vpc/*",
    "aws:iam/*",
    "aws:acm/*",
    "aws:ssm/association*",
    "aws:lb/listener*",
    "aws:lb/targetGroup*",
    "aws:eks/addon*",
    "aws:eks/podIdentityAssociation*",
    "aws:rds/subnetGroup*",
    "aws:rds/parameterGroup*",
    "aws:elasticache/subnetGroup*",
    "aws:elasticache/parameterGroup*",
    "aws:sns/*",
    "aws:budgets/*",
    "aws:costexplorer/*",
)


def _untagged(graph: Graph) -> Iterator[Breach]:
    free = {resource.urn for resource in graph.of(*UNTAGGED) if "bucket:" not in resource.type}
    for resource in graph.of("aws:*"):
        if resource.urn in free or resource.type.startswith("pulumi:"):
            continue
        missing = [tag for tag in TAGS if not _tags(resource).get(tag)]
        if missing:
            yield Breach(resource, f"lacks the tags {', '.join(missing)}")
    for resource in graph.of("kubernetes:*"):
        labels = resource.get("metadata.labels") or {}
        missing = [label for label in LABELS if not labels.get(f"app.kubernetes.io/{label}")]
        if missing and resource.get("metadata"):
            yield Breach(resource, f"lacks the labels {', '.join(missing)}")


def _tags(resource: Resource) -> Mapping[str, Any]:
    """As a mapping also where they are a list, each with whether machines get it too."""
    given = resource.get("tags") or {}
    if isinstance(given, Mapping):
        return given
    return {tag.get("key"): tag.get("value") for tag in given if tag.get("propagateAtLaunch")}


def unpriced(paid_for: Collection[str]) -> Rule:
    """The rule that every resource is paid for by a cost line, `paid_for` naming those that are."""

    def check(graph: Graph) -> Iterator[Breach]:
        free = {resource.urn for resource in graph.of(*_FREE)}
        for resource in graph.of("aws:*"):
            if resource.urn not in free and resource.name not in paid_for:
                yield Breach(resource, "is in no line of the cost")
        if not any(graph.of("aws:*")):
            return  # a local stack tells what it would cost on AWS
        for name in sorted({*paid_for} - {resource.name for resource in graph.resources}):
            yield Breach(Resource("", "no resource", name), "is paid for, and is not there")

    return Rule(
        "priced",
        Severity.ERROR,
        "A cost that nobody looked at is found on the bill",
        "Name it in the component's cost_lines, or among what is free",
        check,
    )


RULES = (
    Rule(
        "tagged",
        Severity.ERROR,
        "Costs and incidents are looked up by tag",
        "Pass target.tags(component), and to objects of the cluster their labels",
        _untagged,
    ),
)
