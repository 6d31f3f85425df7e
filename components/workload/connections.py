"""Which connections pods may make: none but these. See `components.kubernetes.Reach`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

import psycopg.conninfo
import pulumi
from pulumi_kubernetes import meta, networking

from components.cluster.ports import INGRESS_NAMESPACE
from components.kubernetes import (
    KEDA_NAMESPACE,
    METRICS_PORT,
    WEB_PORT,
    Place,
    Reach,
    selector,
)

HTTPS, DNS, POSTGRES_METRICS = 443, 53, 9187
EVERYWHERE = "0.0.0.0/0"
# Other networks than the internet: machines, pods, and what tells machines their credentials.
PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16")
NAMESPACE_NAME = "kubernetes.io/metadata.name"
DATABASE_PODS = {"cnpg.io/podRole": "instance"}

Rule = networking.v1.NetworkPolicyEgressRuleArgs
Peer = networking.v1.NetworkPolicyPeerArgs


class Network(StrEnum):
    """Where a server is."""

    STACK = "stack"  # the data subnets
    CLUSTER = "cluster"  # pods of CloudNativePG
    OUTSIDE = "outside"


@dataclass(frozen=True, order=True)
class Server:
    network: Network
    port: int


def servers(postgres: Sequence[str], redis: Sequence[str]) -> list[Server]:
    """The servers that URLs name."""
    found = set[Server]()
    for url in postgres:
        parts = psycopg.conninfo.conninfo_to_dict(url)
        hosts = str(parts["host"]).split(",")
        ports = str(parts.get("port") or "").split(",")
        ports = ports * len(hosts) if len(ports) == 1 else ports
        found |= {
            Server(_network(host), int(port or 5432))
            for host, port in zip(hosts, ports, strict=True)
        }
    for url in redis:
        for address in urlsplit(url).netloc.rpartition("@")[2].split(","):
            host, _, port = address.partition(":")
            found.add(Server(_network(host), int(port or 6379)))
    return sorted(found)


def _network(host: str) -> Network:
    if host.endswith(".amazonaws.com"):
        return Network.STACK
    if host.endswith((".svc", ".svc.cluster.local")):
        return Network.CLUSTER
    return Network.OUTSIDE


def policies(
    prefix: str,
    place: Place,
    *,
    postgres: pulumi.Input[Sequence[str]],
    redis: pulumi.Input[Sequence[str]],
    bluesky: pulumi.Input[str],
) -> list[networking.v1.NetworkPolicy]:
    """All policies of the namespace. The URLs are those of the servers that the app uses."""
    cidr = place.target.network.cidr
    # Ports and networks of servers are no secret, their passwords are.
    data = pulumi.Output.unsecret(
        pulumi.Output.all(postgres, redis).apply(lambda urls: servers(urls[0], urls[1]))
    ).apply(lambda found: [_to_server(server, cidr) for server in found])
    internet = pulumi.Output.from_input(bluesky).apply(
        lambda url: [_to(_outside(), *sorted({HTTPS, urlsplit(url).port or HTTPS}))]
    )

    def policy(
        name: str,
        pods: Mapping[str, str],
        *,
        egress: pulumi.Input[Sequence[Rule]] | None = None,
        ingress: Sequence[networking.v1.NetworkPolicyIngressRuleArgs] | None = None,
    ) -> networking.v1.NetworkPolicy:
        both = {"Ingress": ingress, "Egress": egress}
        types = [kind for kind, rules in both.items() if rules is not None] or list(both)
        return networking.v1.NetworkPolicy(
            f"{prefix}-{name}",
            metadata=place.metadata(name),
            spec=networking.v1.NetworkPolicySpecArgs(
                pod_selector=meta.v1.LabelSelectorArgs(match_labels=pods or None),
                policy_types=types,
                egress=egress,
                ingress=ingress,
            ),
            opts=place.opts,
        )

    own = _pods({})
    return [
        policy("nothing-by-default", {}),
        policy("names", {}, egress=[_to(_pods({"k8s-app": "kube-dns"}, "kube-system"), DNS)]),
        policy("data", _reach(Reach.DATA), egress=data),
        policy("internet", _reach(Reach.INTERNET), egress=internet),
        policy(
            "reading-metrics",
            _reach(Reach.METRICS),
            egress=[
                _to(own, WEB_PORT, METRICS_PORT),
                _to(_pods(DATABASE_PODS, None), POSTGRES_METRICS),
            ],
        ),
        policy(
            "metrics", {}, ingress=[_from(_pods(_reach(Reach.METRICS)), WEB_PORT, METRICS_PORT)]
        ),
        policy("pages", selector("web"), ingress=[_from(_pods({}, INGRESS_NAMESPACE), WEB_PORT)]),
        policy(
            "scaling",
            selector("autoscaler"),
            ingress=[_from(_pods({}, KEDA_NAMESPACE), METRICS_PORT)],
        ),
    ]


def _reach(reach: Reach) -> dict[str, str]:
    return {reach.value: "true"}


def _to_server(server: Server, cidr: str) -> Rule:
    peer = {
        Network.STACK: Peer(ip_block=networking.v1.IPBlockArgs(cidr=cidr)),
        Network.CLUSTER: _pods(DATABASE_PODS, None),
        Network.OUTSIDE: _outside(),
    }[server.network]
    return _to(peer, server.port)


def _outside() -> Peer:
    return Peer(ip_block=networking.v1.IPBlockArgs(cidr=EVERYWHERE, except_=list(PRIVATE)))


def _pods(labels: Mapping[str, str], namespace: str | None = "") -> Peer:
    """Pods with these labels, of the app's namespace; of another; or with None of any."""
    namespaces = {"": None, None: meta.v1.LabelSelectorArgs()}
    return Peer(
        pod_selector=meta.v1.LabelSelectorArgs(match_labels=dict(labels) or None),
        namespace_selector=namespaces[namespace]
        if namespace in namespaces
        else meta.v1.LabelSelectorArgs(match_labels={NAMESPACE_NAME: str(namespace)}),
    )


def _to(peer: Peer, *ports: int) -> Rule:
    return Rule(to=[peer], ports=_ports(*ports))


def _from(peer: Peer, *ports: int) -> networking.v1.NetworkPolicyIngressRuleArgs:
    return networking.v1.NetworkPolicyIngressRuleArgs(from_=[peer], ports=_ports(*ports))


def _ports(*ports: int) -> list[networking.v1.NetworkPolicyPortArgs]:
    return [
        networking.v1.NetworkPolicyPortArgs(port=port, protocol=protocol)
        for port in ports
        for protocol in (("UDP", "TCP") if port == DNS else ("TCP",))
    ]
