"""The edge: what people's browsers reach; it passes requests on to the app."""

from components.base import Component
from components.edge.ports import EdgeArgs, EdgeOutputs

__all__ = ["Edge", "EdgeArgs", "EdgeOutputs"]


class Edge(Component[EdgeArgs, EdgeOutputs]):
    token = "etcetera:edge:Edge"  # noqa: S105
    targets = ("local", "aws")
