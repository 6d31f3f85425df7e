"""Monitoring: watches all other parts of a stack and tells whether it reaches its objectives."""

from components.base import Component
from components.monitoring.ports import MonitoringArgs, MonitoringOutputs

__all__ = ["Monitoring", "MonitoringArgs", "MonitoringOutputs"]


class Monitoring(Component[MonitoringArgs, MonitoringOutputs]):
    token = "etcetera:monitoring:Monitoring"  # noqa: S105
    targets = ("local", "aws")
