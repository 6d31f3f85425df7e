"""What the cluster backend takes and gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_kubernetes as kubernetes

from components.alerts.ports import AlertsOutputs
from components.encryption.ports import EncryptionOutputs
from components.network.ports import NetworkOutputs
from infra.aws_sizes import AwsCluster


@dataclass(frozen=True)
class ClusterArgs:
    size: AwsCluster
    network: NetworkOutputs
    encryption: EncryptionOutputs
    alerts: AlertsOutputs


@dataclass(frozen=True)
class ClusterOutputs:
    """`kubeconfig` is secret. `provider` declares objects of the cluster, once it answers.

    `address` is what the name of the origin points to, `address_kind` the kind of its DNS record:
    an IPv4 address (k3s) or a host name (EKS). `node_security_group_id` is that of all machines,
    `machines` their instance ids or group names for dashboards. `node_role_name` is the role of all
    machines, to which a component adds what its pods need of AWS. `addons` are there before objects
    of the kinds that they bring are declared.
    """

    kubeconfig: pulumi.Output[str]
    provider: kubernetes.Provider
    address: pulumi.Output[str]
    address_kind: Literal["A", "CNAME"]
    node_security_group_id: pulumi.Output[str]
    machines: Mapping[str, pulumi.Output[str]]
    node_role_name: pulumi.Output[str]
    addons: Sequence[pulumi.Resource] = ()
