"""What all machines of a cluster have in common, whoever manages them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from components.cluster import user_data
from components.cluster.ports import ClusterArgs
from components.target import AwsAccount

# Amazon Linux 2023 for Graviton, the newest at the moment a machine starts.
IMAGE = "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
LOG_DAYS = 30


def nodes_security_group(
    name: str, args: ClusterArgs, target: AwsAccount, opts: pulumi.ResourceOptions
) -> aws.ec2.SecurityGroup:
    """That of all machines: they reach each other and everything outside, nobody reaches them."""
    group = security_group(f"{name}-nodes", "Machines of the cluster", args, target, opts)
    aws.vpc.SecurityGroupIngressRule(
        f"{name}-nodes-among-themselves",
        security_group_id=group.id,
        referenced_security_group_id=group.id,
        ip_protocol="-1",
        description="Machines of the cluster among themselves",
        tags=target.tags("cluster", f"{name}-nodes-among-themselves"),
        opts=opts,
    )
    aws.vpc.SecurityGroupEgressRule(
        f"{name}-nodes-out",
        security_group_id=group.id,
        cidr_ipv4="0.0.0.0/0",
        ip_protocol="-1",
        description="Images, Bluesky, AWS; what pods may do is up to network policies",
        tags=target.tags("cluster", f"{name}-nodes-out"),
        opts=opts,
    )
    return group


def security_group(
    unique: str,
    description: str,
    args: ClusterArgs,
    target: AwsAccount,
    opts: pulumi.ResourceOptions,
) -> aws.ec2.SecurityGroup:
    return aws.ec2.SecurityGroup(
        unique,
        vpc_id=args.network.vpc_id,
        description=description,
        tags=target.tags("cluster", unique),
        opts=opts,
    )


def log_group(
    name: str, args: ClusterArgs, target: AwsAccount, opts: pulumi.ResourceOptions
) -> aws.cloudwatch.LogGroup:
    """Of all containers."""
    return aws.cloudwatch.LogGroup(
        f"{name}-logs",
        retention_in_days=LOG_DAYS,
        kms_key_id=args.encryption.key_arn,
        tags=target.tags("cluster", f"{name}-logs"),
        opts=opts,
    )


class Role:
    """A role of machines with what every machine may do; `name` is the logical one."""

    def __init__(
        self,
        name: str,
        logs: aws.cloudwatch.LogGroup,
        target: AwsAccount,
        opts: pulumi.ResourceOptions,
        *,
        statements: Sequence[Mapping[str, Any]] = (),
        policies: Mapping[str, str] | None = None,
    ) -> None:
        self.role = aws.iam.Role(
            name,
            description=f"Machines of stack {target.stack}",
            assume_role_policy=trust("ec2.amazonaws.com"),
            tags=target.tags("cluster", name),
            opts=opts,
        )
        # Session Manager in place of SSH.
        attached = {"session-manager": "AmazonSSMManagedInstanceCore", **(policies or {})}
        self.ready: list[pulumi.Resource] = [
            aws.iam.RolePolicyAttachment(
                f"{name}-{unique}",
                role=self.role.name,
                policy_arn=f"arn:aws:iam::aws:policy/{policy}",
                opts=opts,
            )
            for unique, policy in attached.items()
        ]
        own = aws.iam.RolePolicy(
            f"{name}-policy",
            role=self.role.id,
            policy=pulumi.Output.json_dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [*_watching(logs), *statements],
                }
            ),
            opts=opts,
        )
        self.ready.append(own)


def trust(service: str, *actions: str) -> str:
    """Who may take a role: a service of AWS."""
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": service},
                    "Action": list(actions) or "sts:AssumeRole",
                }
            ],
        }
    )


def _watching(logs: aws.cloudwatch.LogGroup) -> list[dict[str, Any]]:
    return [
        {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
            "Resource": [logs.arn, pulumi.Output.concat(logs.arn, ":*")],
        },
        {
            "Effect": "Allow",
            "Action": "cloudwatch:PutMetricData",
            "Resource": "*",
            "Condition": {"StringEquals": {"cloudwatch:namespace": user_data.NAMESPACE}},
        },
    ]


def launch_template(
    name: str,
    args: ClusterArgs,
    target: AwsAccount,
    opts: pulumi.ResourceOptions,
    *,
    script: pulumi.Input[str],
    disk_gb: int,
    **choices: Any,
) -> aws.ec2.LaunchTemplate:
    """`script` is base64; `choices` are passed on."""
    tags = target.tags("cluster", name)
    return aws.ec2.LaunchTemplate(
        f"{name}-template",
        update_default_version=True,
        user_data=script,
        block_device_mappings=[
            aws.ec2.LaunchTemplateBlockDeviceMappingArgs(
                device_name="/dev/xvda",
                ebs=aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                    volume_type="gp3",
                    volume_size=disk_gb,
                    encrypted="true",
                    kms_key_id=args.encryption.key_arn,
                    delete_on_termination="true",
                ),
            )
        ],
        metadata_options=aws.ec2.LaunchTemplateMetadataOptionsArgs(
            http_endpoint="enabled",
            http_tokens="required",
            # One hop is the machine itself: pods get no credentials of its role. Those of
            # PostgreSQL need them for disks and backups; network policies keep others away.
            http_put_response_hop_limit=2 if stores(target) else 1,
        ),
        tag_specifications=[
            aws.ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags=tags)
            for kind in ("instance", "volume")
        ],
        tags=target.tags("cluster", f"{name}-template"),
        opts=opts,
        **choices,
    )


def encrypted_disks(args: ClusterArgs) -> list[dict[str, Any]]:
    """What whoever makes volumes with the stack's key may do with it."""
    return [
        {
            "Effect": "Allow",
            "Action": [
                "kms:Encrypt",
                "kms:Decrypt",
                "kms:ReEncrypt*",
                "kms:GenerateDataKey*",
                "kms:DescribeKey",
            ],
            "Resource": args.encryption.key_arn,
        },
        {
            "Effect": "Allow",
            "Action": "kms:CreateGrant",
            "Resource": args.encryption.key_arn,
            "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}},
        },
    ]


def stores(target: AwsAccount) -> bool:
    """Whether databases run on the cluster."""
    return target.size.postgres.hosting == "kubernetes"
