"""Pictures of objects, drawn from their traits alone: the same object, the same picture.

They bring their own background, so that they look the same on light and dark pages.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from pathlib import Path

import resvg_py

from app.domain.draw import Draw
from app.domain.objects import Portrayed
from app.domain.picture.frames import draw_frame, draw_rays, shadow
from app.domain.picture.marks import circle
from app.domain.picture.scenes import SCENERY, draw_scene
from app.domain.picture.shapes import draw_thing
from app.models import Rarity

SIZE = 600  # pixels, and units of the SVG


def svg(thing: Portrayed) -> str:
    """The picture as a square SVG document without text or references to elsewhere."""
    draw = Draw(thing.seed)
    name = f"o{thing.seed:x}"
    scenery = SCENERY[thing.region]
    legendary = thing.rarity is Rarity.LEGENDARY
    return "".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {SIZE}">',
            f'<defs><linearGradient id="{name}sky" x2="0" y2="1">',
            f'<stop stop-color="{scenery.top}"/><stop offset="1" stop-color="{scenery.bottom}"/>',
            f'</linearGradient><radialGradient id="{name}glow">',
            f'<stop offset=".35" stop-color="{scenery.glow}" stop-opacity=".95"/>',
            f'<stop offset="1" stop-color="{scenery.glow}" stop-opacity="0"/>',
            "</radialGradient></defs>",
            f'<path fill="url(#{name}sky)" d="M0,0H{SIZE}V{SIZE}H0Z"/>',
            draw_scene(thing.region, draw),
            draw_rays() if legendary else "",
            circle(300, 290, 232, f"url(#{name}glow)"),
            shadow(),
            '<g transform="translate(300 306) scale(1.2)">',
            draw_thing(thing.category, draw, name),
            "</g>",
            draw_frame(thing.rarity),
            "</svg>",
        )
    )


def png(thing: Portrayed, size: int = SIZE) -> bytes:
    """The picture as PNG, `size` pixels wide and high."""
    return resvg_py.svg_to_bytes(
        svg_string=svg(thing), width=size, height=size, skip_system_fonts=True
    )


@cache
def version() -> str:
    """Changes with the way of drawing, so that copies kept elsewhere can follow it."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:8]
