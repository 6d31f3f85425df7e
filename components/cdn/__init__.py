"""The CDN: a cache before the edge, which answers what is the same for everybody."""

from components.base import Component
from components.cdn.ports import CdnArgs, CdnOutputs

__all__ = ["Cdn", "CdnArgs", "CdnOutputs"]


class Cdn(Component[CdnArgs, CdnOutputs]):
    token = "etcetera:edge:Cdn"  # noqa: S105
    targets = ("local", "aws")
