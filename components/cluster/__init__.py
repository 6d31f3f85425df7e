"""The Kubernetes cluster that the app runs on: k3s on machines of ours, or EKS."""

from components.base import Component
from components.cluster.ports import ClusterArgs, ClusterOutputs

__all__ = ["Cluster", "ClusterArgs", "ClusterOutputs"]


class Cluster(Component[ClusterArgs, ClusterOutputs]):
    token = "etcetera:foundation:Cluster"  # noqa: S105
    targets = ("aws",)
