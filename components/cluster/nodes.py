"""What both kinds of cluster give to those that use them, before the add-ons are there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_kubernetes as kubernetes


@dataclass(frozen=True)
class Nodes:
    """As in `ClusterOutputs`."""

    kubeconfig: pulumi.Output[str]
    provider: kubernetes.Provider
    address: pulumi.Output[str]
    address_kind: Literal["A", "CNAME"]
    node_security_group_id: pulumi.Output[str]
    machines: Mapping[str, pulumi.Output[str]]
    node_role_name: pulumi.Output[str]
