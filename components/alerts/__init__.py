"""Alerts: where alarms go, and a budget that says early when the month will cost too much."""

from components.alerts.ports import AlertsArgs, AlertsOutputs
from components.base import Component

__all__ = ["Alerts", "AlertsArgs", "AlertsOutputs"]


class Alerts(Component[AlertsArgs, AlertsOutputs]):
    token = "etcetera:foundation:Alerts"  # noqa: S105
    targets = ("aws",)
