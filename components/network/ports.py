"""What the network backend takes and gives."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.encryption.ports import EncryptionOutputs
from infra.aws_sizes import AwsNetwork


@dataclass(frozen=True)
class NetworkArgs:
    size: AwsNetwork
    encryption: EncryptionOutputs


@dataclass(frozen=True)
class NetworkOutputs:
    """Subnets are one per zone, in the zones' order. `isolated` ones have no way to or from the
    internet: data lives there. `nodes` are where machines run: public without NAT, else private.
    """

    vpc_id: pulumi.Output[str]
    cidr: str
    public_subnet_ids: Sequence[pulumi.Output[str]]
    node_subnet_ids: Sequence[pulumi.Output[str]]
    isolated_subnet_ids: Sequence[pulumi.Output[str]]
