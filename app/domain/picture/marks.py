"""SVG by hand: the few elements the drawings are made of. Lengths are in a 600 by 600 picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import cos, pi, sin

INK = "#2a2118"
PAPER = "#f6ecd6"
LINE = 6.0

Point = tuple[float, float]


def number(value: float) -> str:
    text = f"{value:.1f}"
    return "0" if text == "-0.0" else text.removesuffix(".0")


def path(d: str, fill: str = "none", stroke: str = "", width: float = LINE, more: str = "") -> str:
    pen = f' stroke="{stroke}" stroke-width="{number(width)}"' if stroke else ""
    return f'<path d="{d}" fill="{fill}"{pen}{" " + more if more else ""}/>'


def inked(d: str, fill: str) -> str:
    return path(d, fill, INK)


def circle(
    x: float, y: float, r: float, fill: str = "none", stroke: str = "", width: float = LINE
) -> str:
    pen = f' stroke="{stroke}" stroke-width="{number(width)}"' if stroke else ""
    return f'<circle cx="{number(x)}" cy="{number(y)}" r="{number(r)}" fill="{fill}"{pen}/>'


def polygon(points: Iterable[Point]) -> str:
    """A closed path through the points."""
    return "M" + "L".join(f"{number(x)},{number(y)}" for x, y in points) + "Z"


def box(x: float, y: float, width: float, height: float, r: float = 0) -> str:
    """A rectangle as a path, with round corners."""
    if not r:
        return f"M{number(x)},{number(y)}h{number(width)}v{number(height)}h{number(-width)}Z"
    h, v, c = number(width - 2 * r), number(height - 2 * r), number(r)
    return (
        f"M{number(x + r)},{number(y)}h{h}a{c},{c} 0 0 1 {c},{c}v{v}a{c},{c} 0 0 1 -{c},{c}"
        f"h-{h}a{c},{c} 0 0 1 -{c},-{c}v-{v}a{c},{c} 0 0 1 {c},-{c}Z"
    )


def disc(x: float, y: float, r: float) -> str:
    """A circle as a path."""
    a, c = number(x - r), number(r)
    d = number(2 * r)
    return f"M{a},{number(y)}a{c},{c} 0 1 0 {d},0a{c},{c} 0 1 0 -{d},0Z"


def polar(x: float, y: float, r: float, turn: float) -> Point:
    """The point at distance r; `turn` in full turns, clockwise from the top."""
    return x + r * sin(2 * pi * turn), y - r * cos(2 * pi * turn)


def star(x: float, y: float, r: float, rays: int = 5, depth: float = 0.45) -> str:
    return polygon(
        polar(x, y, r if i % 2 == 0 else r * depth, i / (2 * rays)) for i in range(2 * rays)
    )


def diamond(x: float, y: float, r: float, slim: float = 0.7) -> str:
    return polygon(((x, y - r), (x + r * slim, y), (x, y + r), (x - r * slim, y)))


def heart(x: float, y: float, r: float) -> str:
    tall, side = number(r * 1.15), number(r)
    return (
        f"M{number(x)},{number(y + r * 0.8)}"
        f"c-{side},-{number(r * 0.9)} -{side},-{number(r * 1.6)} 0,-{tall}"
        f"c{side},-{number(r * 0.35)} {side},{number(r * 0.35)} 0,{tall}Z"
    )


def moon(x: float, y: float, r: float) -> str:
    top, bottom = polar(x, y, r, 0.08), polar(x, y, r, 0.42)
    c, inner = number(r), number(r * 0.8)
    return (
        f"M{number(top[0])},{number(top[1])}A{c},{c} 0 1 0 {number(bottom[0])},{number(bottom[1])}"
        f"A{inner},{inner} 0 1 1 {number(top[0])},{number(top[1])}Z"
    )


def leaf(x: float, y: float, length: float, turn: float, wide: float = 0.28) -> str:
    """A pointed leaf that grows from (x, y); `turn` as in `polar`."""
    tip = polar(x, y, length, turn)
    left = polar(x, y, length * 0.6, turn - wide * 0.25)
    right = polar(x, y, length * 0.6, turn + wide * 0.25)
    return "M{},{}Q{},{} {},{}Q{},{} {},{}Z".format(
        *(number(value) for point in ((x, y), left, tip, right, (x, y)) for value in point)
    )


def group(parts: Sequence[str], more: str = "") -> str:
    return f"<g{' ' + more if more else ''}>{''.join(parts)}</g>"
