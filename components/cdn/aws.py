"""CloudFront before the site: ends TLS, keeps what may be kept, hides the machines.

What is kept follows docs/decisions/0010, by other means: `policies`.
"""

from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws

from app.web.origin import HEADER
from components.alarms import alarm
from components.cdn import bucket, policies
from components.cdn.certificate import certificate
from components.cdn.policies import Origin, Treatment
from components.cdn.ports import CdnArgs, CdnOutputs
from components.target import AwsTarget

VIEWER = (Path(__file__).parent / "viewer.js").read_text()

# North America and Europe; elsewhere people are served from there.
PRICE_CLASS = "PriceClass_100"
CONNECT_SECONDS = 3
ANSWER_SECONDS = 20
KEPT_ALIVE_SECONDS = 30  # Traefik keeps idle connections for 180

# When CloudFront has nothing old to show. What the site says with 500 and 503 is left as it is.
UNREACHABLE = (502, 504)
ORIGIN_ERRORS = (500, 503)
# For as long as the site says, which is what a minimum of nothing means.
SITE_DECIDES = (400, 403, 404, 405, 414)
FALL_BACK_ON = (403, 404, 500, 502, 503, 504)

FAILING_PERCENT = 5.0


def build(name: str, args: CdnArgs, target: AwsTarget, opts: pulumi.ResourceOptions) -> CdnOutputs:
    if args.origin_secret is None:
        raise ValueError("a CDN on AWS needs an origin secret, or anybody could pass it by")
    domains = (target.domain, f"www.{target.domain}")
    files = bucket.bucket(name, target, opts)
    site = _distribution(name, args, target, files, domains, opts)
    bucket.admit(name, files, site, opts)
    records = [
        aws.route53.Record(
            f"{name}-{domain}-{kind.lower()}",
            zone_id=target.dns.zone_id,
            name=domain,
            type=kind,
            aliases=[
                aws.route53.RecordAliasArgs(
                    name=site.domain_name,
                    zone_id=site.hosted_zone_id,
                    evaluate_target_health=False,
                )
            ],
            opts=opts,
        )
        for domain in domains
        for kind in ("A", "AAAA")
    ]
    alarm(
        f"{name}-errors",
        target,
        "cdn",
        why=f"More than {FAILING_PERCENT:g} % of requests fail. Look at the pods of web and "
        "Traefik, then at the database",
        namespace="AWS/CloudFront",
        metric="5xxErrorRate",
        dimensions={"DistributionId": site.id, "Region": "Global"},
        above=FAILING_PERCENT,
        minutes=5,
        periods=2,
        missing="notBreaching",  # nobody came
        everywhere=True,
        opts=opts,
    )
    return CdnOutputs(
        url=pulumi.Output.all(*(record.fqdn for record in records)).apply(
            lambda _: f"https://{target.domain}"
        ),
        metrics=None,
        purge_url=pulumi.Output.from_input(""),
        purge_token=pulumi.Output.secret(""),
        distribution_id=site.id,
    )


def _distribution(
    name: str,
    args: CdnArgs,
    target: AwsTarget,
    files: aws.s3.Bucket,
    domains: tuple[str, ...],
    opts: pulumi.ResourceOptions,
) -> aws.cloudfront.Distribution:
    cdn = aws.cloudfront
    viewer = cdn.Function(
        f"{name}-viewer",
        comment="One address for one page",
        runtime="cloudfront-js-2.0",
        code=VIEWER,
        publish=True,
        tags=target.tags("cdn", f"{name}-viewer"),
        opts=opts,
    )
    otherwise, by_path = policies.treatments(name, target, opts).by_path(
        keep_pages=args.size is not None
    )

    def behavior(treatment: Treatment) -> dict[str, Any]:
        found: dict[str, Any] = {
            "target_origin_id": treatment.origin.value,
            "viewer_protocol_policy": "redirect-to-https",
            "allowed_methods": list(treatment.methods),
            "cached_methods": ["GET", "HEAD"],
            "cache_policy_id": treatment.cache_policy,
            "origin_request_policy_id": treatment.request_policy,
            "response_headers_policy_id": treatment.headers_policy,
            "compress": True,
        }
        if treatment.origin is Origin.APP:
            found["function_associations"] = [
                {"event_type": "viewer-request", "function_arn": viewer.arn}
            ]
        return found

    return cdn.Distribution(
        f"{name}-distribution",
        comment=f"Etcetera.Exchange, stack {target.stack}",
        enabled=True,
        is_ipv6_enabled=True,
        http_version="http2and3",
        price_class=PRICE_CLASS,
        aliases=list(domains),
        origins=[_app(args, target), _bucket(name, files, opts)],
        origin_groups=[
            cdn.DistributionOriginGroupArgs(
                origin_id=Origin.FILES.value,
                failover_criteria=cdn.DistributionOriginGroupFailoverCriteriaArgs(
                    status_codes=list(FALL_BACK_ON)
                ),
                members=[
                    cdn.DistributionOriginGroupMemberArgs(origin_id=Origin.BUCKET.value),
                    cdn.DistributionOriginGroupMemberArgs(origin_id=Origin.APP.value),
                ],
            )
        ],
        default_cache_behavior=cdn.DistributionDefaultCacheBehaviorArgs(**behavior(otherwise)),
        ordered_cache_behaviors=[
            cdn.DistributionOrderedCacheBehaviorArgs(path_pattern=pattern, **behavior(treatment))
            for pattern, treatment in by_path.items()
        ],
        custom_error_responses=[
            *(
                cdn.DistributionCustomErrorResponseArgs(
                    error_code=code,
                    response_code=code,
                    response_page_path="/unavailable.html",
                    error_caching_min_ttl=1,
                )
                for code in UNREACHABLE
            ),
            *(
                cdn.DistributionCustomErrorResponseArgs(error_code=code, error_caching_min_ttl=1)
                for code in ORIGIN_ERRORS
            ),
            *(
                cdn.DistributionCustomErrorResponseArgs(error_code=code, error_caching_min_ttl=0)
                for code in SITE_DECIDES
            ),
        ],
        restrictions=cdn.DistributionRestrictionsArgs(
            geo_restriction=cdn.DistributionRestrictionsGeoRestrictionArgs(restriction_type="none")
        ),
        viewer_certificate=cdn.DistributionViewerCertificateArgs(
            acm_certificate_arn=certificate(name, target, opts),
            minimum_protocol_version="TLSv1.2_2021",
            ssl_support_method="sni-only",
        ),
        tags=target.tags("cdn", f"{name}-distribution"),
        opts=opts,
    )


def _app(args: CdnArgs, target: AwsTarget) -> aws.cloudfront.DistributionOriginArgs:
    origin = aws.cloudfront
    return origin.DistributionOriginArgs(
        origin_id=Origin.APP.value,
        domain_name=args.origin,
        connection_attempts=2,
        connection_timeout=CONNECT_SECONDS,
        custom_headers=[
            origin.DistributionOriginCustomHeaderArgs(
                name=HEADER, value=pulumi.Output.secret(args.origin_secret or "")
            ),
            # What people opened; Host is the origin's own, which its certificate is for.
            origin.DistributionOriginCustomHeaderArgs(name="X-Forwarded-Host", value=target.domain),
        ],
        custom_origin_config=origin.DistributionOriginCustomOriginConfigArgs(
            http_port=80,
            https_port=443,
            origin_protocol_policy="https-only",
            origin_ssl_protocols=["TLSv1.2"],
            origin_read_timeout=ANSWER_SECONDS,
            origin_keepalive_timeout=KEPT_ALIVE_SECONDS,
        ),
    )


def _bucket(
    name: str, files: aws.s3.Bucket, opts: pulumi.ResourceOptions
) -> aws.cloudfront.DistributionOriginArgs:
    access = aws.cloudfront.OriginAccessControl(
        f"{name}-files-access",
        description="CloudFront signs what it asks the bucket",
        origin_access_control_origin_type="s3",
        signing_behavior="always",
        signing_protocol="sigv4",
        opts=opts,
    )
    return aws.cloudfront.DistributionOriginArgs(
        origin_id=Origin.BUCKET.value,
        domain_name=files.bucket_regional_domain_name,
        origin_access_control_id=access.id,
    )
