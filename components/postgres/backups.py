"""Where PostgreSQL on the cluster keeps its backups: a bucket that its machines may write to."""

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from components.target import AwsTarget

COMPONENT = "postgres"


def bucket(name: str, target: AwsTarget, opts: pulumi.ResourceOptions) -> aws.s3.Bucket:
    """Encrypted, private, with versions, so that what is deleted by mistake can be had back."""
    made = aws.s3.Bucket(
        name,
        tags=target.tags(COMPONENT, name),
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(protect=target.protect)),
    )
    aws.s3.BucketPublicAccessBlock(
        f"{name}-private",
        bucket=made.bucket,
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
        opts=opts,
    )
    aws.s3.BucketOwnershipControls(
        f"{name}-owner",
        bucket=made.bucket,
        rule=aws.s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),
        opts=opts,
    )
    aws.s3.BucketServerSideEncryptionConfiguration(
        f"{name}-encryption",
        bucket=made.bucket,
        rules=[
            aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
                apply_server_side_encryption_by_default=aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
                    sse_algorithm="aws:kms", kms_master_key_id=target.encryption.key_arn
                ),
                bucket_key_enabled=True,
            )
        ],
        opts=opts,
    )
    versioned = aws.s3.BucketVersioning(
        f"{name}-versions",
        bucket=made.bucket,
        versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(
            status="Enabled"
        ),
        opts=opts,
    )
    aws.s3.BucketLifecycleConfiguration(
        f"{name}-lifetime",
        bucket=made.bucket,
        rules=[
            aws.s3.BucketLifecycleConfigurationRuleArgs(
                id="forget",
                status="Enabled",
                filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
                noncurrent_version_expiration=aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
                    noncurrent_days=target.size.postgres.backup_days
                ),
                abort_incomplete_multipart_upload=aws.s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
                    days_after_initiation=1
                ),
            )
        ],
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[versioned])),
    )
    aws.s3.BucketPolicy(
        f"{name}-policy", bucket=made.bucket, policy=_only_over_tls(made), opts=opts
    )
    return made


def access(
    name: str, target: AwsTarget, to: aws.s3.Bucket, opts: pulumi.ResourceOptions
) -> aws.iam.RolePolicy:
    """Lets the machines of the cluster, and so the pods that reach their credentials, use it."""
    return aws.iam.RolePolicy(
        f"{name}-access",
        role=target.cluster.node_role_name,
        policy=_document(
            [
                _allow(["s3:ListBucket", "s3:GetBucketLocation"], to.arn),
                _allow(
                    ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
                    pulumi.Output.concat(to.arn, "/*"),
                ),
                _allow(["kms:GenerateDataKey", "kms:Decrypt"], target.encryption.key_arn),
            ]
        ),
        opts=opts,
    )


def _only_over_tls(bucket: aws.s3.Bucket) -> pulumi.Output[str]:
    return _document(
        [
            {
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [bucket.arn, pulumi.Output.concat(bucket.arn, "/*")],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ]
    )


def _allow(actions: Sequence[str], on: pulumi.Input[str]) -> dict[str, pulumi.Input[object]]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": on}


def _document(statements: Sequence[object]) -> pulumi.Output[str]:
    return pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": statements})
