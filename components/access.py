"""Who may reach data on AWS: the cluster's machines, and nobody else."""

import pulumi
import pulumi_aws as aws

from components.target import AwsTarget


def from_nodes(
    name: str,
    target: AwsTarget,
    component: str,
    port: int,
    what: str,
    opts: pulumi.ResourceOptions,
) -> aws.ec2.SecurityGroup:
    """A security group that lets the machines of the cluster in at one port, and nothing out."""
    group = aws.ec2.SecurityGroup(
        f"{name}-access",
        description=f"{what}, for the machines of the cluster",
        vpc_id=target.network.vpc_id,
        tags=target.tags(component, f"{name}-access"),
        opts=opts,
    )
    aws.vpc.SecurityGroupIngressRule(
        f"{name}-from-nodes",
        security_group_id=group.id,
        referenced_security_group_id=target.cluster.node_security_group_id,
        ip_protocol="tcp",
        from_port=port,
        to_port=port,
        description="Pods of the cluster",
        tags=target.tags(component, f"{name}-from-nodes"),
        opts=opts,
    )
    return group
