"""The administrator's access to a database on AWS, kept where operators look for it."""

import pulumi
import pulumi_aws as aws

from components.target import AwsTarget

COMPONENT = "postgres"


def keep(
    name: str,
    target: AwsTarget,
    *,
    host: pulumi.Input[str],
    port: int,
    user: str,
    password: pulumi.Output[str],
    opts: pulumi.ResourceOptions,
) -> None:
    """A secret of Secrets Manager, in the form that tools of AWS know."""
    secret = aws.secretsmanager.Secret(
        name,
        description=f"Administrator of PostgreSQL, stack {target.stack}",
        kms_key_id=target.encryption.key_arn,
        tags=target.tags(COMPONENT, name),
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(protect=target.protect)),
    )
    access = pulumi.Output.json_dumps(
        {
            "engine": "postgres",
            "host": host,
            "port": port,
            "username": user,
            "password": password,
            "dbname": "postgres",
        }
    )
    aws.secretsmanager.SecretVersion(
        f"{name}-value", secret_id=secret.id, secret_string=access, opts=opts
    )
