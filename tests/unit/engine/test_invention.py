"""Decides that made-up outputs look like what providers give, and can be found again."""

from typing import Any

import pulumi_aws
import pulumi_kubernetes
import pulumi_random
import pulumi_tls
import pytest

from infra.engine.invention import CONFIDENTIAL, MARK, Invention, Place, answer, hints

SDKS = (pulumi_aws, pulumi_kubernetes, pulumi_random, pulumi_tls)
ACCOUNT = "123456789012"
RDS = "aws:rds/instance:Instance"


def invention(type_: str, name: str = "it", *secret: str, **inputs: Any) -> Invention:
    place = Place(type_, name, f"etcetera::{type_}::{name}", "eu-west-1", ACCOUNT)
    return Invention(place, inputs, secret)


@pytest.mark.parametrize(
    ("type_", "key", "beginning", "end"),
    [
        (RDS, "arn", f"arn:aws:rds:eu-west-1:{ACCOUNT}:instance/it-0ff", ""),
        (RDS, "address", "it-0ff", ".eu-west-1.rds.example"),
        (RDS, "endpoint", "it-0ff", ".eu-west-1.rds.example:5432"),
        ("aws:eks/cluster:Cluster", "endpoint", "https://it-0ff", ""),
        ("aws:ec2/eip:Eip", "publicIp", "192.0.2.", ""),
        ("aws:ec2/subnet:Subnet", "availabilityZone", "eu-west-1a", ""),
        ("tls:index/selfSignedCert:SelfSignedCert", "certPem", "-----BEGIN CERTIFICATE", "\n"),
    ],
)
def test_an_output_has_the_form_that_its_name_asks_for(
    type_: str, key: str, beginning: str, end: str
) -> None:
    text = invention(type_).outputs()[key]
    assert text.startswith(beginning)
    assert text.endswith(end)


def test_ports_are_those_of_the_service() -> None:
    assert invention(RDS).outputs()["port"] == 5432


def test_what_may_be_empty_is_and_inputs_stay_as_they_are() -> None:
    outputs = invention(RDS, allocatedStorage=20, tags={"a": "b"}).outputs()
    assert outputs["allocatedStorage"] == 20
    assert outputs["tagsAll"] == {"a": "b"}
    assert "replicateSourceDb" not in outputs


def test_what_is_nested_in_an_output_is_there() -> None:
    cluster = invention("aws:eks/cluster:Cluster").outputs()
    assert cluster["certificateAuthority"]["data"]
    assert cluster["identities"][0]["oidcs"][0]["issuer"].startswith("https://")


def test_each_name_of_a_certificate_is_to_be_proven() -> None:
    outputs = invention(
        "aws:acm/certificate:Certificate", domainName="a.example", subjectAlternativeNames=["*.b"]
    ).outputs()
    assert [one["domainName"] for one in outputs["domainValidationOptions"]] == ["a.example", "*.b"]


def test_a_secret_can_be_recognised_and_is_as_long_as_it_was_asked_for() -> None:
    password = invention("random:index/randomPassword:RandomPassword", "it", "result", length=40)
    made = password.outputs()["result"]
    assert made.startswith(CONFIDENTIAL)
    assert MARK.search(made)
    assert len(made) == 40


def test_two_resources_share_no_text_and_one_makes_the_same_again() -> None:
    def texts(name: str) -> set[str]:
        made = invention(RDS, name)
        made.outputs()
        return {text for text in made.texts.values() if MARK.search(text)}

    assert texts("a") == texts("a")
    assert texts("a").isdisjoint(texts("b"))


def test_an_object_in_a_cluster_has_the_name_that_it_is_given_or_one_of_its_own() -> None:
    named: dict[str, Any] = {"metadata": {"name": "web", "namespace": "etcetera"}}
    assert invention("kubernetes:apps/v1:Deployment", **named).identity == "etcetera/web"
    assert invention("kubernetes:apps/v1:Deployment", metadata={}).identity.startswith("it-0ff")


def test_of_a_type_without_a_class_nothing_is_promised() -> None:
    assert hints("kubernetes:keda.sh/v1alpha1:ScaledObject") == {}
    kept: dict[str, Any] = {"spec": {"a": 1}, "metadata": {"name": "x"}}
    assert invention("kubernetes:keda.sh/v1alpha1:ScaledObject", **kept).outputs() == kept


def test_an_input_that_is_written_in_another_type_is_turned_into_the_promised_one() -> None:
    outputs = invention("aws:iam/rolePolicy:RolePolicy", policy={"Statement": []}).outputs()
    assert outputs["policy"] == '{"Statement": []}'


def test_what_a_function_answers_is_known_and_an_unknown_function_is_refused() -> None:
    assert "arn" in answer("aws:ec2/getManagedPrefixList:getManagedPrefixList")
    with pytest.raises(LookupError):
        answer("aws:ec2/getNothing:getNothing")
