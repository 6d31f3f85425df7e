"""What CloudFront keeps of each part of the site, and what of a request goes to the origin.

As on a machine (docs/decisions/0010): a question whose answer may be kept carries nothing of who
asks. What is the visitor's own is neither kept nor taken from what is kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import pulumi
import pulumi_aws as aws

from app.web.http import CONTENT_SECURITY
from components.target import AwsTarget

YEAR = 31_536_000
DAY = 86_400

# Of Amazon's own policies. Keeps nothing at all:
CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
# All of the visitor's headers with Authorization, cookies and the query; but Host is the origin's.
ALL_VIEWER_EXCEPT_HOST = "b689b0a8-53d0-40ab-baf2-68738e2966ac"


class Origin(StrEnum):
    """Who answers. Files come from the app where the bucket does not have them: while a release
    rolls out, pages of another version ask for theirs."""

    APP = "app"
    BUCKET = "bucket"
    FILES = "files"  # the bucket, then the app


@dataclass(frozen=True)
class Treatment:
    """How one part of the site is asked for. Without `cache_policy` nothing is kept.

    `headers_policy` adds to answers, `request_policy` to what is passed on.
    """

    origin: Origin
    cache_policy: pulumi.Input[str] = CACHING_DISABLED
    request_policy: str | None = None
    headers_policy: pulumi.Input[str] | None = None
    methods: Sequence[str] = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True)
class Treatments:
    """`pages` are kept as long as the site says. `files` and pictures never change under their
    address. What is `personal` passes through untouched."""

    pages: Treatment
    files: Treatment
    unavailable: Treatment
    personal: Treatment

    def by_path(self, *, keep_pages: bool) -> tuple[Treatment, dict[str, Treatment]]:
        """The treatment of most addresses, and of those that match a pattern, first match first."""
        return self.pages if keep_pages else self.personal, {
            "/static/*": self.files,
            "/unavailable.html": self.unavailable,
            "/operator/*": self.personal,
            "/healthz": self.personal,
            "/readyz": self.personal,
            "/objects/*/picture.*": self.pages,
        }


def treatments(name: str, target: AwsTarget, opts: pulumi.ResourceOptions) -> Treatments:
    pages = _cache_policy(
        f"{name}-pages",
        "As long as the site says, and nothing that says nothing",
        default=0,
        query="all",
        opts=opts,
    )
    files = _cache_policy(
        f"{name}-static",
        "For ever: another version has another address",
        default=DAY,
        query="none",
        opts=opts,
    )
    return Treatments(
        pages=Treatment(Origin.APP, pages.id),
        files=Treatment(
            Origin.FILES, files.id, headers_policy=_security_headers(name, target, opts).id
        ),
        unavailable=Treatment(Origin.BUCKET, files.id),
        personal=Treatment(
            Origin.APP,
            request_policy=ALL_VIEWER_EXCEPT_HOST,
            methods=("GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"),
        ),
    )


def _cache_policy(
    name: str, comment: str, *, default: int, query: str, opts: pulumi.ResourceOptions
) -> aws.cloudfront.CachePolicy:
    """What is part of its key goes to the origin, and nothing else: no cookie, no header."""
    key = aws.cloudfront
    return aws.cloudfront.CachePolicy(
        name,
        comment=comment,
        min_ttl=0,
        default_ttl=default,
        max_ttl=YEAR,
        parameters_in_cache_key_and_forwarded_to_origin=key.CachePolicyParametersInCacheKeyAndForwardedToOriginArgs(
            cookies_config=key.CachePolicyParametersInCacheKeyAndForwardedToOriginCookiesConfigArgs(
                cookie_behavior="none"
            ),
            headers_config=key.CachePolicyParametersInCacheKeyAndForwardedToOriginHeadersConfigArgs(
                header_behavior="none"
            ),
            query_strings_config=key.CachePolicyParametersInCacheKeyAndForwardedToOriginQueryStringsConfigArgs(
                query_string_behavior=query
            ),
            enable_accept_encoding_brotli=True,
            enable_accept_encoding_gzip=True,
        ),
        opts=opts,
    )


def _security_headers(
    name: str, target: AwsTarget, opts: pulumi.ResourceOptions
) -> aws.cloudfront.ResponseHeadersPolicy:
    """What the app says itself with each answer, for answers of the bucket."""
    headers = aws.cloudfront
    return aws.cloudfront.ResponseHeadersPolicy(
        f"{name}-security",
        comment=f"Security headers of {target.domain}",
        security_headers_config=headers.ResponseHeadersPolicySecurityHeadersConfigArgs(
            content_security_policy=headers.ResponseHeadersPolicySecurityHeadersConfigContentSecurityPolicyArgs(
                content_security_policy=CONTENT_SECURITY, override=False
            ),
            content_type_options=headers.ResponseHeadersPolicySecurityHeadersConfigContentTypeOptionsArgs(
                override=True
            ),
            referrer_policy=headers.ResponseHeadersPolicySecurityHeadersConfigReferrerPolicyArgs(
                referrer_policy="strict-origin-when-cross-origin", override=False
            ),
            strict_transport_security=headers.ResponseHeadersPolicySecurityHeadersConfigStrictTransportSecurityArgs(
                access_control_max_age_sec=YEAR, include_subdomains=True, override=False
            ),
        ),
        opts=opts,
    )
