"""The app: its migrations, the website and API, the reader of mentions, and the workers."""

from components.base import Component
from components.workload.ports import WorkloadArgs, WorkloadOutputs

__all__ = ["Workload", "WorkloadArgs", "WorkloadOutputs"]


class Workload(Component[WorkloadArgs, WorkloadOutputs]):
    token = "etcetera:app:Workload"  # noqa: S105
    targets = ("local", "aws")
