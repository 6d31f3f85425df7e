"""AWS regions that a stack may use, with their price level."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from ruamel.yaml import YAML


class Region(BaseModel):
    """`level` is a factor on the price book's prices, which are those of us-east-1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: Annotated[float, Field(gt=0)]
    source: str
    evidence: Literal["source", "secondary", "derived", "recalled"]


def _load() -> dict[str, Region]:
    file = YAML(typ="safe", pure=True).load(Path(__file__).with_name("regions.yaml"))
    return {name: Region.model_validate(one) for name, one in file.items()}


REGIONS = _load()
