"""What the cluster backend takes and gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_kubernetes as kubernetes

from components.alerts.ports import AlertsOutputs
from components.dns.ports import DnsOutputs
from components.encryption.ports import EncryptionOutputs
from components.network.ports import NetworkOutputs
from infra.aws_sizes import AwsCluster

SPOT = "etcetera.exchange/workers"
"""Label and taint of the machines that are there for workers and may be lost at any moment."""
INGRESS_NAMESPACE = "traefik"
INGRESS_CLASS = "traefik"
CERTIFICATE_RESOLVER = "letsencrypt"
"""What an Ingress on k3s names in traefik.ingress.kubernetes.io/router.tls.certresolver; on EKS the
load balancer ends TLS."""


@dataclass(frozen=True)
class ClusterArgs:
    """`origin` is the name that the CDN calls; its zone is that of `dns`."""

    size: AwsCluster
    origin: str
    dns: DnsOutputs
    network: NetworkOutputs
    encryption: EncryptionOutputs
    alerts: AlertsOutputs


@dataclass(frozen=True)
class ClusterOutputs:
    """`kubeconfig` is secret. `provider` declares objects of the cluster, once it answers.

    `address` is what the name of the origin points to, `address_kind` the kind of its DNS record:
    an IPv4 address (k3s) or a host name (EKS). `node_security_group_id` is that of all machines,
    `machines` their instance ids or group names for dashboards. `node_role_name` is the role of all
    machines but the spot ones, to which a component adds what its pods need of AWS.
    `storage_class` is that of volumes that outlive their machine, where databases run in pods.
    `addons` are there before objects of the kinds that they bring are declared.
    """

    kubeconfig: pulumi.Output[str]
    provider: kubernetes.Provider
    address: pulumi.Output[str]
    address_kind: Literal["A", "CNAME"]
    node_security_group_id: pulumi.Output[str]
    machines: Mapping[str, pulumi.Output[str]]
    node_role_name: pulumi.Output[str]
    storage_class: str
    addons: Sequence[pulumi.Resource] = ()
