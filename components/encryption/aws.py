"""A KMS key of the stack's own, and one in us-east-1 for a stack elsewhere."""

import json
from typing import Any

import pulumi
import pulumi_aws as aws

from components.alarms import GLOBAL_REGION
from components.encryption.ports import EncryptionArgs, EncryptionOutputs
from components.target import AwsAccount

# Who publishes to the stack's topics: alarms, the budget and the watch on anomalies.
PUBLISHERS = ("cloudwatch.amazonaws.com", "budgets.amazonaws.com", "costalerts.amazonaws.com")
# Roles by which AWS starts machines whose disks the key encrypts: of groups, and of spot requests.
_LAUNCHERS = {
    "autoscaling.amazonaws.com": "AWSServiceRoleForAutoScaling",
    "spot.amazonaws.com": "AWSServiceRoleForEC2Spot",
}
_USE = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]


def build(
    name: str,
    args: EncryptionArgs,  # noqa: ARG001 - there is nothing to choose
    target: AwsAccount,
    opts: pulumi.ResourceOptions,
) -> EncryptionOutputs:
    key = _key(name, target, target.region, opts)
    if target.region == GLOBAL_REGION:
        return EncryptionOutputs(key_arn=key.arn, global_key_arn=key.arn)
    elsewhere = _key(f"{name}-global", target, GLOBAL_REGION, opts)
    return EncryptionOutputs(key_arn=key.arn, global_key_arn=elsewhere.arn)


def _key(name: str, target: AwsAccount, region: str, opts: pulumi.ResourceOptions) -> aws.kms.Key:
    key = aws.kms.Key(
        f"{name}-key",
        description=f"Etcetera.Exchange, stack {target.stack}",
        policy=json.dumps(key_policy(target.account_id, region)),
        enable_key_rotation=True,
        deletion_window_in_days=30,
        region=region,
        tags=target.tags("encryption", f"{name}-key"),
        # What it has encrypted cannot be read without it.
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(protect=target.protect)),
    )
    aws.kms.Alias(
        f"{name}-alias",
        name=f"alias/etcetera-{target.stack}",
        target_key_id=key.key_id,
        region=region,
        opts=opts,
    )
    return key


def key_policy(account: str, region: str) -> dict[str, Any]:
    """Who may use the key: whom IAM policies of the account allow to, and services for the account.

    Services that act with their caller's rights (RDS, ElastiCache, Secrets Manager) need no
    statement of their own.
    """
    own = {"StringEquals": {"aws:SourceAccount": account}}
    launchers = [
        f"arn:aws:iam::{account}:role/aws-service-role/{service}/{role}"
        for service, role in _LAUNCHERS.items()
    ]
    # The roles appear with the first group of machines, and a principal must exist.
    launching = {"StringEquals": {"aws:PrincipalArn": launchers}}
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "AccountDecidesByIam",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
                "Action": "kms:*",
                "Resource": "*",
            },
            {
                "Sid": "LogGroups",
                "Effect": "Allow",
                "Principal": {"Service": f"logs.{region}.amazonaws.com"},
                "Action": _USE,
                "Resource": "*",
                "Condition": {
                    "ArnLike": {
                        "kms:EncryptionContext:aws:logs:arn": (
                            f"arn:aws:logs:{region}:{account}:log-group:*"
                        )
                    }
                },
            },
            {
                "Sid": "AlertsToTopics",
                "Effect": "Allow",
                "Principal": {"Service": list(PUBLISHERS)},
                "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
                "Resource": "*",
                "Condition": own,
            },
            {
                "Sid": "DisksOfGroups",
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": _USE,
                "Resource": "*",
                "Condition": launching,
            },
            {
                "Sid": "DisksOfGroupsAttached",
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": "kms:CreateGrant",
                "Resource": "*",
                "Condition": launching | {"Bool": {"kms:GrantIsForAWSResource": "true"}},
            },
        ],
    }
