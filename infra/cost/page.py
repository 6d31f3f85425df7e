"""A page that shows where the money goes, stack by stack."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, select_autoescape

# Told apart by people who do not see all colours (Okabe and Ito, 2008), on light and on dark.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#999999")


def render(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The page as HTML without anything to load; `found` are `cost` documents by stack."""
    parts = list(dict.fromkeys(part for one in found.values() for part in one["byComponent"]))
    environment = Environment(
        autoescape=select_autoescape(default=True), undefined=StrictUndefined, trim_blocks=True
    )
    template = environment.from_string(Path(__file__).with_name("page.html").read_text())
    return template.render(
        found=found,
        colours={part: COLOURS[index % len(COLOURS)] for index, part in enumerate(parts)},
        most=max(
            max(one["total"]["list"], one["total"]["effective"], one["budget"]["limit"])
            for one in found.values()
        ),
        dearest_user=max(
            max(one["perUser"]["effective"], one["perUser"]["target"]) for one in found.values()
        ),
    )
