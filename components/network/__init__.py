"""The network: public subnets for what people reach, isolated ones for data."""

from components.base import Component
from components.network.ports import NetworkArgs, NetworkOutputs

__all__ = ["Network", "NetworkArgs", "NetworkOutputs"]


class Network(Component[NetworkArgs, NetworkOutputs]):
    token = "etcetera:foundation:Network"  # noqa: S105
    targets = ("aws",)
