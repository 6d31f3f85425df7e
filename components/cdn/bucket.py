"""The bucket with the site's files, which CloudFront alone may read."""

import json
import mimetypes
from pathlib import Path

import pulumi
import pulumi_aws as aws

from app.web import assets
from components.target import AwsTarget

UNAVAILABLE = Path(__file__).parents[1] / "edge" / "unavailable.html"
FORGOTTEN_DAYS = 30
# Not in every system's table of types.
mimetypes.add_type("font/woff2", ".woff2")


def bucket(name: str, target: AwsTarget, opts: pulumi.ResourceOptions) -> aws.s3.Bucket:
    """A private, encrypted bucket with all static files as the site addresses them."""
    made = aws.s3.Bucket(
        f"{name}-files",
        tags=target.tags("cdn", f"{name}-files"),
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(protect=target.protect)),
    )
    aws.s3.BucketPublicAccessBlock(
        f"{name}-files-private",
        bucket=made.bucket,
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
        opts=opts,
    )
    aws.s3.BucketOwnershipControls(
        f"{name}-files-ownership",
        bucket=made.bucket,
        rule=aws.s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),
        opts=opts,
    )
    # With S3's own key: the files are for everybody, and CloudFront needs no right to ours.
    aws.s3.BucketServerSideEncryptionConfiguration(
        f"{name}-files-encryption",
        bucket=made.bucket,
        rules=[
            aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
                apply_server_side_encryption_by_default=aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
                    sse_algorithm="AES256"
                ),
            )
        ],
        opts=opts,
    )
    versioning = aws.s3.BucketVersioning(
        f"{name}-files-versions",
        bucket=made.bucket,
        versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(
            status="Enabled"
        ),
        opts=opts,
    )
    aws.s3.BucketLifecycleConfiguration(
        f"{name}-files-lifecycle",
        bucket=made.bucket,
        rules=[
            aws.s3.BucketLifecycleConfigurationRuleArgs(
                id="forget-what-was-replaced",
                status="Enabled",
                filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
                noncurrent_version_expiration=aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
                    noncurrent_days=FORGOTTEN_DAYS
                ),
                expiration=aws.s3.BucketLifecycleConfigurationRuleExpirationArgs(
                    expired_object_delete_marker=True
                ),
                abort_incomplete_multipart_upload=aws.s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
                    days_after_initiation=1
                ),
            )
        ],
        # A rule about old versions is refused before there can be any.
        opts=_after(opts, versioning),
    )
    version = assets.version()
    for path in sorted(path for path in assets.FOLDER.rglob("*") if path.is_file()):
        file = path.relative_to(assets.FOLDER).as_posix()
        aws.s3.BucketObjectv2(
            f"{name}-file-{file.replace('/', '-')}",
            bucket=made.bucket,
            key=f"static/{version}/{file}",
            source=pulumi.FileAsset(str(path)),
            content_type=media_type(file),
            cache_control=assets.IMMUTABLE,
            opts=_after(opts, versioning),
        )
    aws.s3.BucketObjectv2(
        f"{name}-file-unavailable.html",
        bucket=made.bucket,
        key="unavailable.html",
        source=pulumi.FileAsset(str(UNAVAILABLE)),
        content_type="text/html; charset=utf-8",
        # Kept near visitors, for when it is needed; never by their browsers.
        cache_control="public, max-age=0, s-maxage=300",
        opts=_after(opts, versioning),
    )
    return made


def media_type(file: str) -> str:
    """What browsers are told that the file is. Raises ValueError for one they would have to guess.

    With nosniff they would not, and refuse it.
    """
    found, _ = mimetypes.guess_type(file)
    if found is None:
        raise ValueError(f"{file} has an ending that no media type is known for")
    text = found.startswith("text/") or found == "image/svg+xml"
    return f"{found}; charset=utf-8" if text else found


def admit(
    name: str,
    bucket: aws.s3.Bucket,
    distribution: aws.cloudfront.Distribution,
    opts: pulumi.ResourceOptions,
) -> None:
    """Lets this distribution read the files, over TLS, and nobody else."""
    aws.s3.BucketPolicy(
        f"{name}-files-readers",
        bucket=bucket.bucket,
        policy=pulumi.Output.all(bucket.arn, distribution.arn).apply(
            lambda arns: json.dumps(_readers(*arns))
        ),
        opts=opts,
    )


def _readers(bucket: str, distribution: str) -> dict[str, object]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "CloudFrontReads",
                "Effect": "Allow",
                "Principal": {"Service": "cloudfront.amazonaws.com"},
                "Action": "s3:GetObject",
                "Resource": f"{bucket}/*",
                "Condition": {"StringEquals": {"AWS:SourceArn": distribution}},
            },
            {
                "Sid": "OverTlsOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [bucket, f"{bucket}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
        ],
    }


def _after(opts: pulumi.ResourceOptions, *first: pulumi.Resource) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=list(first)))
