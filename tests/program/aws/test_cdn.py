"""Decides what the CDN of a stack on AWS keeps, where each of the site's addresses leads, and that
nothing private is kept or told. That CloudFront does as it is told is Amazon's to keep; that AWS
takes these arguments is decided by the provider's own rules (.ci/run)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import pulumi
import pytest

from app.web import assets
from app.web.origin import HEADER
from components.cdn import Cdn, CdnArgs
from components.cdn.cost import cost_lines
from components.cdn.policies import ALL_VIEWER_EXCEPT_HOST, CACHING_DISABLED
from infra.aws_sizes import AWS_SIZES
from infra.engine.comparison import compare
from infra.engine.offline import Recording
from infra.phases import PHASES
from infra.policy.graph import Resource, texts
from infra.policy.rule import judge
from infra.policy.rules import rules
from tests.program.aws import stubs
from tests.unit.web.conftest import site

DISTRIBUTION = "aws:cloudfront/distribution:Distribution"
PHASES_ON_AWS = sorted(AWS_SIZES)
PICTURE = "/objects/0190f3c0-0000-7000-8000-000000000000/picture.png"


@cache
def recorded(phase: int) -> Recording:
    def declare() -> None:
        Cdn(
            "cdn",
            CdnArgs(
                PHASES[phase].cdn,
                origin="origin.etcetera.example.com",
                origin_secret=pulumi.Output.secret(stubs.SENTINEL),
            ),
            stubs.aws_target(phase),
        )

    return stubs.record(declare)


def named(phase: int, name: str) -> Resource:
    (found,) = [one for one in recorded(phase).graph.resources if one.name == name]
    return found


def distribution(phase: int) -> Resource:
    (found,) = recorded(phase).graph.of(DISTRIBUTION)
    return found


def behavior(phase: int, path: str) -> dict[str, Any]:
    """What CloudFront does with an address: the first pattern that matches counts."""
    site = distribution(phase)
    ordered = [
        one
        for one in site.get("orderedCacheBehaviors")
        if fnmatchcase(path, one["pathPattern"].replace("[", "[[]"))
    ]
    found: dict[str, Any] = (ordered or [site.get("defaultCacheBehavior")])[0]
    return found


def behaviors(phase: int) -> Iterator[dict[str, Any]]:
    site = distribution(phase)
    yield from (*site.get("orderedCacheBehaviors"), site.get("defaultCacheBehavior"))


def cache_policy(phase: int, behavior: dict[str, Any]) -> Resource | None:
    """The policy of ours that a behaviour follows; None for Amazon's that keeps nothing."""
    wanted = behavior["cachePolicyId"]
    if wanted == CACHING_DISABLED:
        return None
    (found,) = [
        one
        for one in recorded(phase).graph.of("aws:cloudfront/cachePolicy:CachePolicy")
        if wanted.startswith(f"{one.name}-")
    ]
    return found


def addresses_of_the_site() -> list[str]:
    app = site(operator_password="p" * 16)
    filled = {
        "<uuid:object_id>": "0190f3c0-0000-7000-8000-000000000000",
        "<uuid:id>": "0190f3c0-0000-7000-8000-000000000000",
        "<version>/<path:name>": f"{assets.version()}/fonts/fraunces.woff2",
        "<handle>": "someone.example",
        "<name>": "someone.example",
    }
    found = []
    for rule in app.url_map.iter_rules():
        path = rule.rule
        for variable, value in filled.items():
            path = path.replace(variable, value)
        found.append(path.split("<")[0])
    return found


@pytest.mark.parametrize("phase", PHASES_ON_AWS)
def test_each_address_of_the_site_leads_to_who_has_it(phase: int) -> None:
    addresses = addresses_of_the_site()
    assert len(addresses) > 20
    for path in addresses:
        expected = "files" if path.startswith("/static/") else "app"
        assert behavior(phase, path)["targetOriginId"] == expected, path


@pytest.mark.parametrize("phase", PHASES_ON_AWS)
@pytest.mark.parametrize("path", ["/operator/dead-letters", "/healthz", "/readyz"])
def test_what_is_personal_or_for_probes_is_never_kept(phase: int, path: str) -> None:
    found = behavior(phase, path)
    assert found["cachePolicyId"] == CACHING_DISABLED
    # Authorization reaches the site, and so do forms.
    assert found["originRequestPolicyId"] == ALL_VIEWER_EXCEPT_HOST
    assert "POST" in found["allowedMethods"]


@pytest.mark.parametrize("phase", PHASES_ON_AWS)
def test_a_question_whose_answer_may_be_kept_carries_nothing_of_who_asks(phase: int) -> None:
    kept = [one for one in behaviors(phase) if cache_policy(phase, one)]
    assert kept
    for one in kept:
        policy = cache_policy(phase, one)
        assert policy is not None
        key = policy.get("parametersInCacheKeyAndForwardedToOrigin")
        assert key["cookiesConfig"]["cookieBehavior"] == "none"
        assert key["headersConfig"]["headerBehavior"] == "none"
        assert not one.get("originRequestPolicyId")
        assert set(one["cachedMethods"]) == {"GET", "HEAD"}
        assert set(one["allowedMethods"]) <= {"GET", "HEAD", "OPTIONS"}


@pytest.mark.parametrize("phase", PHASES_ON_AWS)
def test_pages_are_kept_as_long_as_they_say_where_the_phase_has_a_cache(phase: int) -> None:
    for path in ("/", "/objects", "/api/v1/objects", "/@someone.example", "/status"):
        policy = cache_policy(phase, behavior(phase, path))
        assert (policy is not None) == (PHASES[phase].cdn is not None), path
        if policy:
            # What says nothing is not kept.
            assert (policy.get("minTtl"), policy.get("defaultTtl")) == (0, 0)
            query = "parametersInCacheKeyAndForwardedToOrigin.queryStringsConfig"
            assert policy.get(f"{query}.queryStringBehavior") == "all"


@pytest.mark.parametrize("phase", PHASES_ON_AWS)
def test_pictures_are_kept_in_all_phases(phase: int) -> None:
    policy = cache_policy(phase, behavior(phase, PICTURE))
    assert policy is not None
    assert policy.get("maxTtl") >= 31_536_000


@pytest.mark.parametrize("phase", PHASES_ON_AWS)
def test_errors_of_the_site_are_kept_no_longer_than_it_says(phase: int) -> None:
    responses = {r["errorCode"]: r for r in distribution(phase).get("customErrorResponses")}
    assert all(responses[code]["errorCachingMinTtl"] == 0 for code in (400, 404))
    assert all(responses[code]["errorCachingMinTtl"] <= 1 for code in (500, 502, 503, 504))
    # The site has better words for what it notices itself.
    assert not any(responses[code].get("responsePagePath") for code in (400, 403, 404, 500, 503))


@pytest.mark.parametrize("phase", PHASES_ON_AWS)
def test_when_nobody_answers_there_is_a_page_that_needs_nobody(phase: int) -> None:
    responses = {r["errorCode"]: r for r in distribution(phase).get("customErrorResponses")}
    for code in (502, 504):
        path = responses[code]["responsePagePath"]
        assert responses[code]["responseCode"] == code
        assert behavior(phase, path)["targetOriginId"] == "bucket"
        assert path.removeprefix("/") in {
            one.get("key") for one in recorded(phase).graph.of("aws:s3/bucketObjectv2:*")
        }


def test_the_bucket_says_of_each_file_what_the_site_says() -> None:
    client = site().test_client()
    objects = {
        one.get("key"): one for one in recorded(2).graph.of("aws:s3/bucketObjectv2:BucketObjectv2")
    }
    files = [path for path in assets.FOLDER.rglob("*") if path.is_file()]
    assert len(objects) == len(files) + 1
    for path in files:
        key = f"static/{assets.version()}/{path.relative_to(assets.FOLDER).as_posix()}"
        answer = client.get(f"/{key}")
        assert objects[key].get("contentType") == answer.headers["Content-Type"], key
        assert objects[key].get("cacheControl") == answer.headers["Cache-Control"], key


def test_only_this_distribution_reads_the_bucket_and_only_over_tls() -> None:
    statements = json.loads(named(2, "cdn-files-readers").get("policy"))["Statement"]
    (allowed,) = [one for one in statements if one["Effect"] == "Allow"]
    assert allowed["Action"] == "s3:GetObject"
    assert allowed["Principal"] == {"Service": "cloudfront.amazonaws.com"}
    condition = allowed["Condition"]["StringEquals"]["AWS:SourceArn"]
    assert recorded(2).written[condition] == "${cdn-distribution.arn}"
    assert any(
        one["Effect"] == "Deny" and "aws:SecureTransport" in str(one["Condition"])
        for one in statements
    )


def test_files_that_the_bucket_does_not_have_come_from_the_site() -> None:
    (group,) = distribution(2).get("originGroups")
    assert [one["originId"] for one in group["members"]] == ["bucket", "app"]
    # Without the right to list, S3 says that what is not there is forbidden.
    assert {403, 404} <= set(group["failoverCriteria"]["statusCodes"])


@pytest.mark.parametrize("phase", PHASES_ON_AWS)
def test_the_origin_is_told_the_secret_over_tls_and_nobody_else_is(phase: int) -> None:
    origins = {one["originId"]: one for one in distribution(phase).get("origins")}
    headers = {one["name"]: one["value"] for one in origins["app"]["customHeaders"]}
    assert headers[HEADER] == stubs.SENTINEL
    assert origins["app"]["customOriginConfig"]["originProtocolPolicy"] == "https-only"
    assert not origins["bucket"].get("customHeaders")


@pytest.mark.parametrize("phase", PHASES_ON_AWS)
def test_the_secret_is_nowhere_plain(phase: int) -> None:
    holding = [
        (resource, path)
        for resource in recorded(phase).graph.resources
        for path, text in texts(resource.inputs)
        if stubs.SENTINEL in text
    ]
    assert holding
    for resource, path in holding:
        assert any(path == s or path.startswith(f"{s}.") for s in resource.secrets), path


@pytest.mark.parametrize("phase", PHASES_ON_AWS)
def test_every_policy_is_kept_and_everything_paid_for(phase: int) -> None:
    paid = {name for line in cost_lines("cdn", AWS_SIZES[phase].usage) for name in line.resources}
    recording = recorded(phase)
    found = judge(recording.graph, rules(paid, recording.secrets), [], date(2026, 11, 1))
    # What cannot be made again is guarded from phase 1 on.
    assert [f for f in found if f.blocks and (phase > 0 or f.rule.name != "protected")] == []
    assert paid <= {one.name for one in recording.graph.resources}


def test_without_the_origins_secret_there_is_no_cdn() -> None:
    def declare() -> None:
        Cdn("cdn", CdnArgs(None, origin="origin.example.com"), stubs.aws_target(0))

    with pytest.raises(ValueError, match="needs an origin secret"):
        stubs.record(declare)


@pytest.mark.parametrize("phase", PHASES_ON_AWS[:-1])
def test_the_next_phase_changes_it_in_place(phase: int) -> None:
    comparison = compare(recorded(phase).snapshot(), recorded(phase + 1).snapshot())
    assert not comparison.removed
    assert not comparison.added
    assert comparison.replaced == []
    assert comparison.losses() == []


@pytest.mark.parametrize("name", ["cdn-certificate", "cdn-certificate-issued", "cdn-errors"])
def test_what_cloudfront_needs_in_its_own_region_is_there(name: str) -> None:
    assert named(2, name).get("region") == "us-east-1"


def test_a_file_of_an_unknown_kind_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "what.unknown-kind").write_text("?")
    monkeypatch.setattr(assets, "FOLDER", tmp_path)

    def declare() -> None:
        Cdn("cdn", CdnArgs(None, origin="o", origin_secret="s"), stubs.aws_target(0))

    with pytest.raises(ValueError, match="no media type"):
        stubs.record(declare)
