"""How rare an object is, told by the frame's form and a row of pips: never by colour alone."""

from __future__ import annotations

from app.domain.picture.marks import (
    INK,
    PAPER,
    box,
    circle,
    diamond,
    path,
    polar,
    polygon,
    star,
)
from app.models import Rarity

BRASS = "#b58a35"
GOLD = "#e3b94f"
_CORNERS = ((30, 30, 1, 1), (570, 30, -1, 1), (30, 570, 1, -1), (570, 570, -1, -1))


def draw_rays() -> str:
    """Light behind a legendary object."""
    wedges = "".join(
        polygon(
            (
                (300, 290),
                polar(300, 290, 420, (i - 0.22) / 20),
                polar(300, 290, 420, (i + 0.22) / 20),
            )
        )
        for i in range(20)
    )
    return path(wedges, "#fff3c4", more='fill-opacity=".5"')


def draw_frame(rarity: Rarity) -> str:
    """The border of paper over the scene's edge, its ornaments, and the pips."""
    border = path(
        box(0, 0, 600, 600) + box(30, 30, 540, 540, 16), PAPER, more='fill-rule="evenodd"'
    )
    lines = [path(box(30, 30, 540, 540, 16), "none", INK, 6)]
    match rarity:
        case Rarity.COMMON:
            pass
        case Rarity.UNCOMMON:
            lines += [_outer(INK, 3), *(circle(*_at(c, 0), 8, INK) for c in _CORNERS)]
        case Rarity.RARE:
            lines += [_outer(INK, 3), _dashes()]
            lines += [path(diamond(*_at(c, 6), 24, 1.0), BRASS, INK, 5) for c in _CORNERS]
            lines += [path(diamond(*_at(c, 6), 9, 1.0), PAPER, INK, 3) for c in _CORNERS]
        case Rarity.EPIC:
            lines += [_outer(INK, 3), _outer(BRASS, 7, 6), *map(_scroll, _CORNERS)]
            lines += [path(star(*_at(c, 12), 30, 4, 0.4), GOLD, INK, 5) for c in _CORNERS]
            lines += [_mid_diamonds()]
        case Rarity.LEGENDARY:
            lines += [_outer(INK, 3), _outer(GOLD, 9, 6), *map(_scroll, _CORNERS)]
            lines += [path(star(*_at(c, 14), 36, 8, 0.55), GOLD, INK, 5) for c in _CORNERS]
            lines += [circle(*_at(c, 14), 9, PAPER, INK, 4) for c in _CORNERS]
            lines += [_mid_diamonds(), _crown()]
    return border + "".join(lines) + _pips(rarity)


def _at(corner: tuple[int, int, int, int], inside: float) -> tuple[float, float]:
    x, y, dx, dy = corner
    return x + dx * inside, y + dy * inside


def _outer(colour: str, width: float, inset: float = 13) -> str:
    return path(box(inset, inset, 600 - 2 * inset, 600 - 2 * inset, 22), "none", colour, width)


def _dashes() -> str:
    return path(
        box(21.5, 21.5, 557, 557, 19),
        "none",
        BRASS,
        5,
        'stroke-dasharray="2 14" stroke-linecap="round"',
    )


def _scroll(corner: tuple[int, int, int, int]) -> str:
    x, y, dx, dy = corner
    curl = "M26,4c44,-6 84,8 92,34c5,18 -20,26 -24,8M4,26c-6,44 8,84 34,92c18,5 26,-20 8,-24"
    place = f'transform="translate({x} {y}) scale({dx} {dy})" stroke-linecap="round"'
    return path(curl, "none", INK, 13, place) + path(curl, "none", GOLD, 6, place)


def _mid_diamonds() -> str:
    return path(
        diamond(300, 30, 15, 1.6) + diamond(30, 300, 15, 0.7) + diamond(570, 300, 15, 0.7),
        GOLD,
        INK,
        5,
    )


def _crown() -> str:
    d = "M246,58L236,10L268,32L300,0L332,32L364,10L354,58Q300,48 246,58Z"
    jewels = circle(268, 44, 5, PAPER) + circle(300, 40, 6, "#c8553d") + circle(332, 44, 5, PAPER)
    return path(d, GOLD, INK, 6, 'stroke-linejoin="round"') + jewels


def _pips(rarity: Rarity) -> str:
    """Five places on a plaque at the bottom, as many filled as the rarity has stars."""
    plaque = path(box(196, 548, 208, 40, 20), PAPER, INK, 5)
    pips = ""
    for i in range(5):
        filled = i < rarity.stars
        d = star(232 + 34 * i, 569, 13 if filled else 6, 5, 0.45)
        pips += path(d, GOLD if filled else "#cbb68a", INK if filled else "", 3.5)
    return plaque + pips


def shadow() -> str:
    return f'<ellipse cx="300" cy="462" rx="128" ry="20" fill="{INK}" fill-opacity=".28"/>'
