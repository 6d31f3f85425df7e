"""Decides what `scripts/purge` asks of CloudFront for a stack on AWS, with a server that knows its
API and its signatures. That CloudFront then forgets is Amazon's to keep."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import boto3
import pytest
from click.testing import CliRunner, Result
from moto.server import ThreadedMotoServer

from components.cdn.purge import main
from tests.servers import free_port

pytestmark = pytest.mark.integration


@pytest.fixture
def cloudfront(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    port = free_port()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)
    yield boto3.client("cloudfront")
    server.stop()


@pytest.fixture
def distribution(cloudfront: Any) -> str:
    made = cloudfront.create_distribution(
        DistributionConfig={
            "CallerReference": str(uuid4()),
            "Comment": "",
            "Enabled": True,
            "Origins": {
                "Quantity": 1,
                "Items": [
                    {
                        "Id": "app",
                        "DomainName": "origin.example.org",
                        "CustomOriginConfig": {
                            "HTTPPort": 80,
                            "HTTPSPort": 443,
                            "OriginProtocolPolicy": "https-only",
                        },
                    }
                ],
            },
            "DefaultCacheBehavior": {
                "TargetOriginId": "app",
                "ViewerProtocolPolicy": "redirect-to-https",
            },
        }
    )
    return str(made["Distribution"]["Id"])


def purge(distribution: str, *arguments: str) -> Result:
    outputs = {"distribution_id": distribution, "purge_url": "", "purge_token": ""}
    return CliRunner().invoke(main, ["phase1-aws", *arguments], input=json.dumps(outputs))


def invalidated(cloudfront: Any, distribution: str) -> list[list[str]]:
    found = cloudfront.list_invalidations(DistributionId=distribution)["InvalidationList"]
    return [
        cloudfront.get_invalidation(DistributionId=distribution, Id=one["Id"])["Invalidation"][
            "InvalidationBatch"
        ]["Paths"]["Items"]
        for one in found["Items"]
    ]


def test_addresses_are_asked_for_as_cloudfront_keeps_them(
    cloudfront: Any, distribution: str
) -> None:
    done = purge(distribution, "/", "/search?q=tea pot é", "/objects/%C3%A9*")
    assert done.exit_code == 0, done.output
    assert invalidated(cloudfront, distribution) == [
        ["/", "/search?q=tea%20pot%20%C3%A9", "/objects/%C3%A9*"]
    ]


def test_all_are_one_address_with_a_star(cloudfront: Any, distribution: str) -> None:
    assert purge(distribution, "--all").exit_code == 0
    assert invalidated(cloudfront, distribution) == [["/*"]]


def test_the_same_address_is_forgotten_each_time(cloudfront: Any, distribution: str) -> None:
    for _ in range(2):
        assert purge(distribution, "/").exit_code == 0
    assert len(invalidated(cloudfront, distribution)) == 2


@pytest.mark.usefixtures("cloudfront")
def test_a_distribution_of_another_account_is_an_error_that_says_so() -> None:
    done = purge("E0NOTOURS", "/")
    assert done.exit_code == 1
    assert "CloudFront did not do it" in done.output
    assert "NoSuchDistribution" in done.output
