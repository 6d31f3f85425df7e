"""The stack's names: the Route 53 zone of its domain."""

from components.base import Component
from components.dns.ports import DnsArgs, DnsOutputs

__all__ = ["Dns", "DnsArgs", "DnsOutputs"]


class Dns(Component[DnsArgs, DnsOutputs]):
    token = "etcetera:foundation:Dns"  # noqa: S105
    targets = ("aws",)
