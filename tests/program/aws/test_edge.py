"""Decides where the CDN finds the website, that it does so encrypted, and whose the names are."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pulumi
import pytest

from components.cluster.ports import CERTIFICATE_RESOLVER, INGRESS_CLASS
from components.dns import Dns, DnsArgs
from components.dns.cost import cost_lines
from components.edge import Edge, EdgeArgs
from infra.aws_sizes import AWS_SIZES
from infra.cost.book import PriceBook
from infra.cost.lines import priced
from infra.engine.offline import Recording
from infra.policy.rule import judge
from infra.policy.rules import ownership
from tests.program.aws.objects import one, validate
from tests.program.aws.stubs import aws_target, known, record

TRAEFIK = "traefik.ingress.kubernetes.io"


def edge(distribution: str = "k3s", *, behind_cdn: bool = True) -> Recording:
    size = AWS_SIZES[2]
    size = replace(size, cluster=replace(size.cluster, distribution=distribution))  # type: ignore[arg-type]

    def declare() -> None:
        target = aws_target(2, size)
        if distribution == "eks":
            cluster = replace(
                target.cluster, address_kind="CNAME", address=known("nlb.example.com")
            )
            target = replace(target, cluster=cluster)
        upstream = known("web.etcetera.svc:8000")
        made = Edge("edge", EdgeArgs(upstream, behind_cdn=behind_cdn), target)
        pulumi.export("url", made.outputs.url)
        pulumi.export("address", made.outputs.address)

    return record(declare)


def zone(given: str | None = None, phase: int = 1) -> Recording:
    def declare() -> None:
        made = Dns("dns", DnsArgs(given), aws_target(phase))
        pulumi.export("zone_id", made.outputs.zone_id)
        pulumi.export("name_servers", made.outputs.name_servers)

    return record(declare)


@pytest.mark.parametrize("distribution", ["k3s", "eks"])
def test_the_cdn_asks_for_a_name_of_its_own_and_gets_the_website(distribution: str) -> None:
    recording = edge(distribution)
    ingress = one(recording, "Ingress", "web")
    validate(ingress)
    (rule,) = ingress.get("spec.rules")
    assert rule["host"] == "origin.etcetera.example.com"
    (path,) = rule["http"]["paths"]
    assert path["backend"]["service"] == {"name": "web", "port": {"number": 8000}}
    assert ingress.get("spec.ingressClassName") == INGRESS_CLASS
    assert recording.outputs.values == {
        "url": "https://origin.etcetera.example.com",
        "address": "origin.etcetera.example.com",
    }


@pytest.mark.parametrize("distribution", ["k3s", "eks"])
def test_it_is_served_encrypted_and_in_no_other_way(distribution: str) -> None:
    ingress = one(edge(distribution), "Ingress", "web")
    annotations = ingress.get("metadata.annotations")
    assert annotations[f"{TRAEFIK}/router.entrypoints"] == "websecure"
    assert annotations[f"{TRAEFIK}/router.tls"] == "true"
    resolver = annotations.get(f"{TRAEFIK}/router.tls.certresolver")
    assert resolver == (CERTIFICATE_RESOLVER if distribution == "k3s" else None)


def test_pages_are_compressed() -> None:
    recording = edge()
    middleware = one(recording, "Middleware", "compress")
    assert middleware.inputs["apiVersion"] == "traefik.io/v1alpha1"
    namespace = middleware.get("metadata.namespace")
    named = one(recording, "Ingress", "web").get("metadata.annotations")
    assert named[f"{TRAEFIK}/router.middlewares"] == f"{namespace}-compress@kubernetescrd"


@pytest.mark.parametrize(
    ("distribution", "kind", "value"),
    [("k3s", "A", "198.51.100.7"), ("eks", "CNAME", "nlb.example.com")],
)
def test_the_name_leads_to_the_cluster(distribution: str, kind: str, value: str) -> None:
    (record_,) = edge(distribution).graph.of("aws:route53/record:Record")
    assert (record_.get("name"), record_.get("type")) == ("origin.etcetera.example.com", kind)
    assert record_.get("records") == [value]
    assert record_.get("zoneId") == "Z1"


def test_without_a_cdn_before_it_nothing_is_declared() -> None:
    with pytest.raises(ValueError, match="behind a CDN"):
        edge(behind_cdn=False)


def test_a_stack_makes_the_zone_of_its_domain_and_keeps_it() -> None:
    recording = zone()
    (made,) = recording.graph.of("aws:route53/zone:Zone")
    assert made.get("name") == "etcetera.example.com"
    assert made.protect
    assert len(recording.outputs.values["name_servers"]) == 4
    paid = {name for line in cost_lines("dns") for name in line.resources}
    rules = (*ownership.RULES, ownership.unpriced(paid))
    assert not judge(recording.graph, rules, [], date(2026, 1, 1))
    assert [line.effective_cost for line in priced(cost_lines("dns"), PriceBook.load())] == [0.5]


def test_only_two_authorities_may_sign_for_the_domain() -> None:
    (record_,) = zone().graph.of("aws:route53/record:Record")
    assert record_.get("type") == "CAA"
    assert record_.get("records") == ['0 issue "amazon.com"', '0 issue "letsencrypt.org"']


def test_a_zone_that_is_given_is_left_alone() -> None:
    recording = zone("Z0123456789")
    assert not list(recording.graph.of("aws:*"))
    assert recording.outputs.values == {"zone_id": "Z0123456789", "name_servers": []}
    assert not cost_lines("dns", hosted_zone_id="Z0123456789")
