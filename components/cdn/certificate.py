"""The site's certificate, proved by a name in its zone and renewed by Amazon."""

import pulumi
import pulumi_aws as aws

from components.alarms import GLOBAL_REGION, alarm
from components.target import AwsTarget

# ACM renews 60 days before the end; when that fails there is a month to see why.
LEAST_DAYS = 30


def certificate(name: str, target: AwsTarget, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
    """The ARN of a certificate for the domain and what is below it, once it is issued."""
    # CloudFront takes certificates from this region only.
    issued = aws.acm.Certificate(
        f"{name}-certificate",
        domain_name=target.domain,
        # Proved by the same record as the domain.
        subject_alternative_names=[f"*.{target.domain}"],
        validation_method="DNS",
        key_algorithm="EC_prime256v1",
        region=GLOBAL_REGION,
        tags=target.tags("cdn", f"{name}-certificate"),
        opts=opts,
    )
    wanted = issued.domain_validation_options[0]
    proof = aws.route53.Record(
        f"{name}-certificate-proof",
        zone_id=target.dns.zone_id,
        name=wanted.apply(lambda one: one.resource_record_name or ""),
        type=wanted.apply(lambda one: one.resource_record_type or ""),
        records=[wanted.apply(lambda one: one.resource_record_value or "")],
        ttl=300,
        # Another certificate of the account for this domain is proved by the same record.
        allow_overwrite=True,
        opts=opts,
    )
    alarm(
        f"{name}-certificate-ends",
        target,
        "cdn",
        why=f"The certificate of {target.domain} was not renewed. ACM in {GLOBAL_REGION} says what "
        "it cannot prove; `pulumi up` makes the record that proves it again",
        namespace="AWS/CertificateManager",
        metric="DaysToExpiry",
        dimensions={"CertificateArn": issued.arn},
        below=LEAST_DAYS,
        statistic="Minimum",
        minutes=24 * 60,
        periods=1,
        everywhere=True,
        opts=opts,
    )
    return aws.acm.CertificateValidation(
        f"{name}-certificate-issued",
        certificate_arn=issued.arn,
        validation_record_fqdns=[proof.fqdn],
        region=GLOBAL_REGION,
        opts=opts,
    ).certificate_arn
