"""The things themselves, one function per category, centred on (0, 0) and about 280 wide."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.domain.draw import Draw
from app.domain.picture.marks import (
    INK,
    PAPER,
    box,
    circle,
    diamond,
    disc,
    group,
    heart,
    inked,
    moon,
    number,
    path,
    polar,
    polygon,
    star,
)
from app.models import Category


@dataclass(frozen=True, slots=True)
class Colours:
    body: str
    light: str
    dark: str
    accent: str


COLOURS: tuple[Colours, ...] = (
    Colours("#c8553d", "#e2856b", "#963a2b", "#f2c14e"),
    Colours("#2a8c82", "#62bcae", "#1b635c", "#f4a259"),
    Colours("#dba32f", "#f2cb6c", "#a97817", "#2f6f73"),
    Colours("#7d4a7e", "#aa7cab", "#57315a", "#f2c14e"),
    Colours("#35538a", "#6886ba", "#233a63", "#f28f6b"),
    Colours("#6f8f3f", "#a0bd6d", "#4c672a", "#f7d98b"),
    Colours("#d9738c", "#f0a8b8", "#a94b66", "#2f6f73"),
    Colours("#b9713b", "#dfa06b", "#864c22", "#8fc9ae"),
    Colours("#efe2c4", "#fffaf0", "#cbb68a", "#c8553d"),
    Colours("#5f7480", "#93a8b2", "#414f59", "#f2c14e"),
)


class Kit:
    """What a drawing needs: its colours, its draws, and the shaded and patterned main body."""

    def __init__(self, draw: Draw, name: str) -> None:
        self.draw = draw
        self.colours = draw.pick("colours", COLOURS)
        self._name = name
        self._bodies = 0

    def body(self, d: str, *, pattern: bool = True, fill: str = "", dark: str = "") -> str:
        """A solid in ink outline: lit from the upper left, with the object's own pattern."""
        fill, dark = fill or self.colours.body, dark or self.colours.dark
        inside = [
            path(d, dark),
            path(d, fill, more='transform="translate(-17 -9)"'),
            self._pattern() if pattern else "",
        ]
        return self.clipped(d, inside) + path(d, "none", INK)

    def clipped(self, d: str, parts: list[str]) -> str:
        """The parts as far as they are within the path."""
        self._bodies += 1
        clip = f"{self._name}{self._bodies}"
        return f'<clipPath id="{clip}"><path d="{d}"/></clipPath>' + group(
            parts, f'clip-path="url(#{clip})"'
        )

    def shine(self, d: str) -> str:
        """A stroke of light on a body."""
        return path(d, "none", "#fffaf0", 9, 'stroke-opacity=".55"')

    def emblem(self, x: float, y: float, r: float) -> str:
        marks = (
            star(x, y, r),
            heart(x, y, r),
            moon(x, y, r * 0.9),
            diamond(x, y, r),
            star(x, y, r, 8, 0.6),
        )
        return path(self.draw.pick("emblem", marks), self.colours.accent, INK, 4)

    def tilt(self, most: float) -> float:
        """Degrees, the same for every part of one object."""
        return self.draw.between("tilt", -most, most)

    def _pattern(self) -> str:
        kind = self.draw.pick(
            "pattern", ("plain", "bands", "dots", "chevrons", "checks", "stripes")
        )
        pale, accent = self.colours.light, self.colours.accent
        steps = range(-160, 161, 40)
        if kind == "bands":
            rows = "".join(f"M-180,{y}q90,16 180,0t180,0" for y in range(-150, 170, 52))
            return path(rows, "none", accent, 11, 'stroke-opacity=".9"')
        if kind == "dots":
            dots = [
                circle(x + (20 if row % 2 else 0), y, 8, accent)
                for row, y in enumerate(steps)
                for x in steps
            ]
            return group(dots)
        if kind == "chevrons":
            rows = "".join(f"M-192,{y}" + "l16,-16l16,16" * 12 for y in range(-150, 190, 44))
            return path(rows, "none", pale, 8)
        if kind == "checks":
            squares = "".join(
                diamond(x + (20 if row % 2 else 0), y, 15, 1.0)
                for row, y in enumerate(range(-160, 161, 26))
                for x in steps
            )
            return path(squares, pale, more='fill-opacity=".6"')
        if kind == "stripes":
            columns = "".join(f"M{x},-180q14,180 0,360" for x in range(-150, 170, 46))
            return path(columns, "none", pale, 12, 'stroke-opacity=".75"')
        return ""


def draw_thing(category: Category, draw: Draw, name: str) -> str:
    """The object. `name` makes the ids of its clip paths unique on a page."""
    kit = Kit(draw, name)
    wide, high = draw.between("wide", 0.92, 1.06), draw.between("high", 0.94, 1.06)
    flip = -1 if draw.below("flip", 2) and category in _FLIPPABLE else 1
    drawing = _SHAPES[category](kit)
    return group(
        [drawing],
        f'transform="scale({wide * flip:.3f} {high:.3f})"'
        ' stroke-linejoin="round" stroke-linecap="round"',
    )


def _teapot(kit: Kit) -> str:
    c = kit.colours
    handle = "M84,-28C158,-58 172,62 78,66"
    spout = "M-78,44C-132,34 -120,-34 -158,-58L-132,-80C-96,-60 -98,-22 -78,-12Z"
    belly = "M-98,0C-98,-92 98,-92 98,0C102,76 58,110 0,110C-58,110 -102,76 -98,0Z"
    lid = "M-60,-62C-46,-104 46,-104 60,-62C30,-52 -30,-52 -60,-62Z"
    steam = "M-148,-104c-14,-18 12,-26 -2,-46M-126,-110c-12,-16 10,-22 -2,-38"
    return "".join(
        (
            path(steam, "none", PAPER, 8, 'stroke-opacity=".85"'),
            path(handle, "none", INK, 34),
            path(handle, "none", c.dark, 22),
            inked(spout, c.body),
            inked(box(-52, 98, 104, 22, 8), c.dark),
            kit.body(belly),
            kit.shine("M-72,-22C-66,-48 -46,-60 -30,-64"),
            inked(lid, c.light),
            circle(0, -108, 16, c.accent, INK),
        )
    )


def _key(kit: Kit) -> str:
    c = kit.colours
    bow = kit.draw.pick(
        "bow",
        (
            disc(0, -78, 64),
            disc(-34, -62, 42) + disc(34, -62, 42) + disc(0, -112, 42),
            star(0, -80, 82, 6, 0.72),
            heart(0, -78, 98),
        ),
    )
    teeth = kit.draw.pick(
        "teeth",
        (
            box(12, 62, 48, 24, 3) + box(12, 104, 62, 26, 3),
            box(12, 56, 60, 20, 3) + box(12, 88, 38, 18, 3) + box(12, 116, 60, 20, 3),
            box(12, 70, 62, 60, 3),
        ),
    )
    shaft = box(-15, -40, 30, 186, 12)
    drawing = [
        inked(teeth, c.dark),
        kit.body(shaft, pattern=False),
        inked(box(-26, -14, 52, 18, 6), c.accent),
        inked(box(-22, 12, 44, 12, 5), c.light),
        path(bow, INK, INK, 12),
        path(bow, c.body),
        path(bow, c.light, more='transform="translate(-5 -9) scale(.86)"'),
        path(bow, c.body, more='transform="translate(0 -11) scale(.84)"'),
        circle(0, -80, 30, PAPER, INK),
        kit.emblem(0, -80, 17),
    ]
    return group(drawing, f'transform="rotate({number(28 + kit.tilt(16))})"')


def _lantern(kit: Kit) -> str:
    c = kit.colours
    hoop = "M-40,-92C-58,-160 58,-160 40,-92"
    glass = "M-66,-62L66,-62L84,74L-84,74Z"
    flame = (
        "M0,58C-40,54 -40,14 -16,-8C-14,8 -4,8 -4,-2C-6,-22 4,-36 14,-44"
        "C12,-18 40,2 36,30C34,48 20,58 0,58Z"
    )
    return "".join(
        (
            path(hoop, "none", INK, 20),
            path(hoop, "none", c.accent, 9),
            path(glass, "#fff3c4", INK),
            path(disc(0, 12, 56), "#ffd76a", more='fill-opacity=".75"'),
            path(flame, "#f2853c", INK, 5),
            path("M0,52C-18,50 -18,28 -2,14C16,28 20,48 0,52Z", "#fff3c4"),
            path("M-26,-62L-34,74M26,-62L34,74", "none", INK, 5),
            kit.body("M-84,-56L-44,-104L44,-104L84,-56Z"),
            kit.body("M-98,72L98,72L106,118L-106,118Z"),
            circle(0, -112, 13, c.accent, INK),
            kit.shine("M-62,50L-54,-36"),
        )
    )


def _clock(kit: Kit) -> str:
    c = kit.colours
    hour, minute = kit.draw.below("hour", 12), 5 * kit.draw.below("minute", 12)
    ticks = "".join(
        "M{},{}L{},{}".format(
            *map(
                number,
                (*polar(0, 6, 74, i / 12), *polar(0, 6, 64 if i % 3 else 58, i / 12)),
            )
        )
        for i in range(12)
    )
    hands = "M0,6L{},{}M0,6L{},{}".format(
        *map(number, (*polar(0, 6, 36, (hour + minute / 60) / 12), *polar(0, 6, 56, minute / 60)))
    )
    dome = "M-42,6A42,42 0 0 1 42,6Z"
    crowns = (
        (
            path(dome, c.accent, INK, more='transform="translate(-66 -90) rotate(-36)"'),
            path(dome, c.accent, INK, more='transform="translate(66 -90) rotate(36)"'),
            path("M0,-100V-124M-15,-126H15", "none", INK, 12),
        ),
        (
            inked("M-70,-72C-40,-150 40,-150 70,-72Z", c.dark),
            kit.emblem(0, -112, 20),
        ),
        (
            circle(0, -122, 22, "none", INK, 20),
            circle(0, -122, 22, "none", c.accent, 9),
            inked(box(-20, -112, 40, 22, 6), c.light),
        ),
    )
    return "".join(
        (
            path("M-58,86L-84,130M58,86L84,130", "none", INK, 22),
            path("M-58,86L-84,130M58,86L84,130", "none", c.dark, 10),
            *kit.draw.pick("crown", crowns),
            kit.body(disc(0, 6, 108)),
            circle(0, 6, 84, PAPER, INK),
            path(ticks, "none", INK, 5),
            path(hands, "none", INK, 9),
            circle(0, 6, 9, c.accent, INK, 4),
            kit.shine("M-94,-16C-88,-48 -66,-74 -42,-84"),
        )
    )


def _bell(kit: Kit) -> str:
    c = kit.colours
    dome = (
        "M0,-104C56,-102 64,-40 72,16C78,56 102,62 114,88L-114,88C-102,62 -78,56 -72,16"
        "C-64,-40 -56,-102 0,-104Z"
    )
    ring = kit.draw.below("ribbon", 2)
    bow = (
        inked("M0,-112C-70,-160 -84,-92 0,-106Z", c.accent)
        + inked("M0,-112C70,-160 84,-92 0,-106Z", c.accent)
        + circle(0, -110, 12, c.accent, INK)
        if ring
        else circle(0, -124, 21, "none", INK, 20) + circle(0, -124, 21, "none", c.accent, 9)
    )
    drawing = (
        circle(0, 104, 24, c.dark, INK),
        bow,
        kit.body(dome),
        inked(box(-122, 78, 244, 24, 12), c.light),
        path("M-68,28Q0,46 68,28", "none", INK, 5),
        kit.shine("M-44,-44C-38,-66 -28,-78 -16,-84"),
    )
    return group(drawing, f'transform="rotate({number(kit.tilt(14))})"')


def _gem(kit: Kit) -> str:
    c = kit.colours
    cut = kit.draw.below("cut", 3)
    if cut == 0:
        outline = polygon(((-66, -88), (66, -88), (126, -20), (0, 124), (-126, -20)))
        faces: tuple[str, ...] = (
            path("M-66,-88L-40,-20L-126,-20Z", c.light),
            path("M-66,-88L0,-88L-40,-20Z", "#fffaf0", more='fill-opacity=".75"'),
            path("M66,-88L40,-20L126,-20Z", c.dark),
            path("M-40,-20L40,-20L0,124Z", c.light),
        )
        edges = "M-126,-20H126M-66,-88L-40,-20L0,124L40,-20L66,-88M-40,-20L0,-88L40,-20"
    elif cut == 1:
        outline = polygon(polar(0, 8, 124, i / 8 + 1 / 16) for i in range(8))
        inner = [polar(0, 8, 70, i / 8 + 1 / 16) for i in range(8)]
        faces = (
            path(polygon(inner), c.light),
            path(polygon(inner[4:7]), "#fffaf0", more='fill-opacity=".6"'),
        )
        spokes = "".join(
            "M{},{}L{},{}".format(*map(number, (*polar(0, 8, 124, i / 8 + 1 / 16), *inner[i])))
            for i in range(8)
        )
        edges = polygon(inner) + spokes
    else:
        outline = polygon(((0, -132), (64, -74), (58, 70), (0, 132), (-58, 70), (-64, -74)))
        faces = (
            path("M0,-132L-64,-74L-22,-56Z", "#fffaf0", more='fill-opacity=".8"'),
            path("M-64,-74L-22,-56L-20,84L-58,70Z", c.light),
            path("M64,-74L24,-56L22,84L58,70Z", c.dark),
        )
        edges = (
            "M0,-132L-22,-56L-20,84L0,132L22,84L24,-56Z"
            "M-64,-74L-22,-56H24L64,-74M-58,70L-20,84H22L58,70"
        )
    glints = path(star(104, -92, 24, 4, 0.3) + star(-112, 72, 17, 4, 0.3), PAPER, INK, 4)
    return "".join(
        (
            kit.body(outline, pattern=False),
            *faces,
            path(edges, "none", INK, 4),
            path(outline, "none", INK),
            glints,
        )
    )


def _shell(kit: Kit) -> str:
    c = kit.colours
    lobes = kit.draw.pick("lobes", (7, 9, 11))
    hinge = (0.0, 96.0)

    def rim(i: float, r: float) -> tuple[float, float]:
        return polar(*hinge, r, -0.23 + 0.46 * i / lobes)

    edge = "M0,104L{},{}".format(*map(number, rim(0, 150)))
    for i in range(lobes):
        control, end = rim(i + 0.5, 232), rim(i + 1, 196 if i + 1 < lobes else 150)
        edge += "Q{},{} {},{}".format(*map(number, (*control, *end)))
    ribs = "".join("M0,96L{},{}".format(*map(number, rim(i, 186))) for i in range(1, lobes))
    arcs = "".join(
        "M{},{}A{r},{r} 0 0 1 {},{}".format(*map(number, (*rim(0.4, r), *rim(lobes - 0.4, r))), r=r)
        for r in (92, 138)
    )
    return "".join(
        (
            inked("M-52,84L52,84L40,122L-40,122Z", c.dark),
            kit.body(edge + "Z", pattern=False),
            path(arcs, "none", c.light, 13),
            path(arcs, "none", c.accent, 5, 'transform="translate(0 8)"'),
            path(ribs, "none", INK, 4),
            circle(0, 98, 15, PAPER, INK),
            kit.shine("M-112,0C-104,-24 -92,-42 -78,-56"),
        )
    )


def _mushroom(kit: Kit) -> str:
    c = kit.colours
    stem = "M-34,6C-26,60 -56,104 -46,124C-20,134 20,134 46,124C56,104 26,60 34,6Z"
    cap = kit.draw.pick(
        "cap",
        (
            "M-128,16C-128,-124 128,-124 128,16C84,40 -84,40 -128,16Z",
            "M-116,26C-96,-20 -40,-146 0,-146C40,-146 96,-20 116,26C70,44 -70,44 -116,26Z",
            "M-138,8C-120,-84 120,-84 138,8C96,36 -96,36 -138,8Z",
        ),
    )
    young = inked("M74,84C78,104 72,118 70,126H102C100,118 94,104 98,84Z", PAPER) + inked(
        "M52,90C52,42 120,42 120,90C100,98 72,98 52,90Z", c.accent
    )
    grass = path("M-96,128q4,-26 -10,-40M-84,128q2,-30 14,-44M-72,128q6,-14 16,-20", "none", INK, 6)
    return "".join(
        (
            young,
            kit.body(stem, pattern=False, fill=PAPER, dark="#d9c8a2"),
            path("M-38,30Q0,58 38,30L34,8H-34Z", "#d9c8a2", INK, 5),
            kit.body(cap),
            kit.shine("M-86,-34C-76,-58 -58,-72 -42,-80"),
            grass,
        )
    )


def _book(kit: Kit) -> str:
    c = kit.colours
    cover = box(-84, -122, 172, 232, 10)
    corners = "".join(
        polygon(((x, y), (x + dx * 34, y), (x, y + dy * 34)))
        for x, y, dx, dy in ((86, -120, -1, 1), (86, 108, -1, -1))
    )
    drawing = (
        inked("M-84,96C-98,104 -98,128 -84,132H92V96Z", PAPER),
        path("M-76,114H88M-78,123H88", "none", "#bba878", 3),
        path("M-84,132H94", "none", INK, 9),
        path("M34,100V166L48,152L62,166V100Z", c.accent, INK, 5),
        kit.body(cover),
        path(box(-84, -122, 36, 232, 6), c.dark, INK),
        path("M-84,-78h36M-84,-62h36M-84,62h36M-84,78h36", "none", c.accent, 6),
        path(corners, c.accent, INK, 5),
        circle(20, -14, 46, PAPER, INK, 5),
        kit.emblem(20, -14, 29),
    )
    return group(drawing, f'transform="rotate({number(kit.tilt(9))})"')


def _kite(kit: Kit) -> str:
    c = kit.colours
    sail = polygon(((0, -142), (92, -44), (0, 86), (-92, -44)))
    tail = "M0,86C34,106 -34,126 2,150C30,168 -8,184 22,204"
    bows = "".join(
        f"M{x},{y}l-20,-11v22ZM{x},{y}l20,-11v22Z" for x, y in ((9, 104), (-9, 136), (14, 176))
    )
    drawing = (
        path(tail, "none", INK, 5),
        path(bows, c.accent, INK, 4),
        kit.body(sail),
        path("M0,-142L92,-44H0Z", c.dark, more='fill-opacity=".55"'),
        path("M0,86L-92,-44H0Z", c.light, more='fill-opacity=".5"'),
        path("M0,-142V86M-92,-44H92", "none", INK, 5),
        path(sail, "none", INK),
        circle(0, -44, 27, PAPER, INK, 5),
        kit.emblem(0, -44, 17),
    )
    return group(
        drawing, f'transform="translate(4 -12) scale(.94) rotate({number(20 + kit.tilt(14))})"'
    )


def _bottle(kit: Kit) -> str:
    c = kit.colours
    outline = kit.draw.pick(
        "outline",
        (
            "M-26,-104H26V-52C26,-32 78,-24 78,28V98C78,120 66,128 48,128H-48"
            "C-66,128 -78,120 -78,98V28C-78,-24 -26,-32 -26,-52Z",
            "M-26,-104H26V-46C88,-26 106,34 88,84C74,128 -74,128 -88,84C-106,34 -88,-26 -26,-46Z",
            "M-26,-104H26V-50L98,104C102,122 94,128 80,128H-80C-94,128 -102,122 -98,104L-26,-50Z",
        ),
    )
    return "".join(
        (
            inked(box(-20, -140, 40, 44, 6), "#c99a62"),
            kit.body(outline, pattern=False, fill="#e9f1e6", dark="#c6d8d0"),
            kit.clipped(
                outline,
                [
                    path("M-120,6q30,-16 60,0t60,0t60,0t60,0V140H-120Z", c.body),
                    path("M-120,44q30,-12 60,0t60,0t60,0t60,0V140H-120Z", c.dark),
                    circle(-34, 34, 7, c.light),
                    circle(40, 26, 5, c.light),
                    circle(54, 84, 7, c.light),
                    circle(-54, 92, 5, c.light),
                ],
            ),
            path(outline, "none", INK),
            inked(box(-34, -112, 68, 18, 8), c.accent),
            path(box(-42, 34, 84, 62, 8), PAPER, INK, 5),
            kit.emblem(0, 65, 23),
            kit.shine("M-46,0C-42,-14 -34,-22 -26,-28"),
        )
    )


def _compass(kit: Kit) -> str:
    c = kit.colours
    needle = number(360 * kit.draw.between("needle", 0, 1))
    ticks = "".join(
        "M{},{}L{},{}".format(*map(number, (*polar(0, 12, 84, i / 16), *polar(0, 12, 74, i / 16))))
        for i in range(16)
    )
    rose = star(0, 12, 56, 4, 0.28)
    return "".join(
        (
            circle(0, -124, 20, "none", INK, 20),
            circle(0, -124, 20, "none", c.accent, 9),
            inked(box(-16, -112, 32, 24, 6), c.light),
            kit.body(disc(0, 12, 114)),
            circle(0, 12, 90, PAPER, INK),
            path(ticks, "none", INK, 4),
            path(rose, "#dcc9a0", "#bba878", 3),
            group(
                [
                    path("M0,-62L17,0H-17Z", c.accent, INK, 5),
                    path("M0,62L17,0H-17Z", c.dark, INK, 5),
                    circle(0, 0, 9, PAPER, INK, 4),
                ],
                f'transform="translate(0 12) rotate({needle})"',
            ),
            kit.shine("M-100,-12C-94,-44 -70,-72 -46,-84"),
        )
    )


_FLIPPABLE = frozenset((Category.TEAPOT, Category.KEY, Category.MUSHROOM, Category.KITE))
_SHAPES: Mapping[Category, Callable[[Kit], str]] = {
    Category.BELL: _bell,
    Category.BOOK: _book,
    Category.BOTTLE: _bottle,
    Category.CLOCK: _clock,
    Category.COMPASS: _compass,
    Category.GEM: _gem,
    Category.KEY: _key,
    Category.KITE: _kite,
    Category.LANTERN: _lantern,
    Category.MUSHROOM: _mushroom,
    Category.SHELL: _shell,
    Category.TEAPOT: _teapot,
}
