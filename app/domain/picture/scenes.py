"""Where an object stands: a scene per region, 540 by 540 around (300, 300)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.domain.draw import Draw
from app.domain.picture.marks import circle, leaf, number, path, polar, polygon, star
from app.models import Region


@dataclass(frozen=True, slots=True)
class Scenery:
    top: str
    bottom: str
    far: str
    near: str
    glow: str


SCENERY: Mapping[Region, Scenery] = {
    Region.ATTIC: Scenery("#efd3a8", "#dcab76", "#c08a57", "#8f6039", "#fff0cf"),
    Region.GREENHOUSE: Scenery("#e2efce", "#aed3a4", "#7fb380", "#44805a", "#f8fbe4"),
    Region.HARBOUR: Scenery("#dcebee", "#a3cbd9", "#6ba3be", "#33698b", "#fbf6e3"),
    Region.HIGHLANDS: Scenery("#f3ddd8", "#c9bcdc", "#9a8fbe", "#625f93", "#fdf1e2"),
    Region.NIGHT_MARKET: Scenery("#2c2350", "#6f3f70", "#94527c", "#231a3e", "#f7cf8e"),
    Region.OBSERVATORY: Scenery("#13224a", "#35568d", "#4a70a8", "#0e1834", "#c9dcf2"),
    Region.ORCHARD: Scenery("#fdebcb", "#f6c796", "#a9c070", "#648d4b", "#fffaf0"),
    Region.TIDEPOOLS: Scenery("#d9f3ec", "#92d4cc", "#55b0ad", "#227a84", "#f7fbef"),
}


def draw_scene(region: Region, draw: Draw) -> str:
    return _SCENES[region](draw, SCENERY[region])


def _attic(draw: Draw, s: Scenery) -> str:
    planks = "".join(f"M{x},30V570" for x in range(30, 571, 54))
    beams = (
        path("M20,330L300,20L580,330L580,262L300,-42L20,262Z", s.far)
        + path("M20,330L300,20L580,330", "none", s.near, 5)
        + path("M30,150H570V182H30Z", s.far)
        + path("M30,150H570M30,182H570", "none", s.near, 4)
    )
    x = draw.pick("web", (30, 570))
    side = 1 if x == 30 else -1
    web = "".join(
        f"M{x},30L{x + side * dx},{30 + dy}" for dx, dy in ((120, 10), (95, 70), (14, 120))
    )
    web += "".join(
        f"M{x + side * 1.2 * r},{30 + 0.1 * r}Q{x + side * 0.7 * r},{30 + 0.35 * r}"
        f" {x + side * 0.95 * r},{30 + 0.7 * r}Q{x + side * 0.4 * r},{30 + 0.75 * r}"
        f" {x + side * 0.14 * r},{30 + 1.2 * r}"
        for r in (40, 70, 98)
    )
    floor = path("M30,470H570V570H30Z", s.far) + path("M30,470H570M30,518H570", "none", s.near, 4)
    return (
        path(planks, "none", s.far, 3, 'stroke-opacity=".6"')
        + beams
        + floor
        + path(web, "none", "#fffaf0", 2.5, 'stroke-opacity=".8"')
    )


def _greenhouse(draw: Draw, s: Scenery) -> str:
    panes = "M30,190H570M30,360H570M165,30V570M435,30V570M30,30L300,-40M300,30V570"
    leaves = []
    for side in (0, 1):
        for i in range(7):
            x = (30 if side == 0 else 570) + draw.between(f"root{side}{i}", -10, 30) * (
                1 - 2 * side
            )
            turn = draw.between(f"turn{side}{i}", 0.0, 0.2) * (1 - 2 * side)
            length = draw.between(f"length{side}{i}", 120, 250)
            colour = s.near if i % 2 else s.far
            end = polar(x, 575, length * 0.92, turn)
            leaves.append(path(leaf(x, 575, length, turn, 0.35), colour))
            leaves.append(
                path(
                    f"M{number(x)},575L{number(end[0])},{number(end[1])}",
                    "none",
                    s.bottom,
                    3,
                    'stroke-opacity=".7"',
                )
            )
    hanging = "".join(
        leaf(x + dx, 28, draw.between(f"hang{x}{dx}", 40, 84), 0.5 + dx / 300)
        for x in (90, 510)
        for dx in (-44, -22, 0, 22, 44)
    )
    return (
        path(panes, "none", "#fffaf0", 7, 'stroke-opacity=".75"')
        + path("M30,500Q300,450 570,500V570H30Z", s.far, more='fill-opacity=".7"')
        + "".join(leaves)
        + path(hanging, s.near)
    )


def _harbour(draw: Draw, s: Scenery) -> str:
    x = draw.between("boat", 90, 150) if draw.below("side", 2) else draw.between("boat", 450, 500)
    at = f'transform="translate({number(x)} 338)"'
    boat = (
        f"<g {at}>"
        + path("M-44,0H44L30,24H-30Z", s.near)
        + path("M-2,-6V-92L-40,-6Z", "#fffaf0")
        + path("M6,-6V-76L36,-6Z", "#f1c9a0")
        + "</g>"
    )
    gulls = "".join(
        f"M{number(gx)},{number(gy)}q11,-14 22,0q11,-14 22,0"
        for gx, gy in (
            (draw.between(f"gx{i}", 60, 480), draw.between(f"gy{i}", 62, 130)) for i in range(4)
        )
    )
    waves = ""
    for row, y in enumerate(range(372, 570, 44)):
        d = f"M{-20 - 35 * (row % 2)},{y}" + "q35,-26 70,0" * 10 + "V620H-20Z"
        waves += path(d, s.far if row % 2 == 0 else s.near)
        line = f"M{-20 - 35 * (row % 2)},{y + 14}" + "q35,-26 70,0" * 10
        waves += path(line, "none", s.bottom, 3, 'stroke-opacity=".6"')
    return path(gulls, "none", s.near, 5) + boat + waves


def _highlands(draw: Draw, s: Scenery) -> str:
    peaks = [(30 + i * 90, draw.between(f"peak{i}", 190, 300)) for i in range(7)]
    ridge = "M20,580" + "".join(
        f"L{number(x - 45)},{number(y + 70)}L{number(x)},{number(y)}" for x, y in peaks
    )
    snow = "".join(
        polygon(((x, y), (x + 17, y + 26), (x + 4, y + 19), (x - 8, y + 30), (x - 17, y + 26)))
        for x, y in peaks
    )
    hills = path(f"{ridge}L590,580Z", s.far) + path(snow, "#fffaf0")
    meadow = path("M20,470Q160,390 300,450T580,420V580H20Z", s.near)
    tufts = "".join(
        f"M{number(x)},{number(y)}l-6,-15M{number(x)},{number(y)}l0,-19M{number(x)},{number(y)}l6,-15"
        for x, y in (
            (draw.between(f"tx{i}", 50, 550), draw.between(f"ty{i}", 490, 560)) for i in range(14)
        )
    )
    sun = draw.pick("sun", (108, 492))
    return (
        circle(sun, 112, 40, "#fff4dc")
        + hills
        + meadow
        + path(tufts, "none", s.bottom, 4, 'stroke-opacity=".7"')
    )


def _night_market(draw: Draw, s: Scenery) -> str:
    strings, lamps = "", ""
    colours = ("#f7cf8e", "#f28f6b", "#8fd3c0", "#f0a8b8")
    for row, y in enumerate((64, 136)):
        strings += f"M20,{y}Q165,{y + 70} 300,{y + 10}T580,{y}"
        for i, x in enumerate(range(70, 560, 66)):
            drop = 34 if x < 300 else -6
            at = y + drop + (8 if i % 2 else 0) + 8 * row
            colour = colours[draw.below(f"lamp{row}{i}", len(colours))]
            lamps += circle(x, at + 12, 26, colour).replace("/>", ' fill-opacity=".22"/>')
            lamps += circle(x, at + 12, 13, colour)
            lamps += path(f"M{x - 6},{at - 2}h12M{x - 6},{at + 26}h12", "none", s.near, 4)
    awning = ""
    for i, x in enumerate(range(30, 570, 45)):
        colour = "#f1e3c8" if i % 2 else s.far
        awning += path(f"M{x},470h45v34a22.5,22.5 0 0 1 -45,0Z", colour)
    stall = path("M20,504H580V580H20Z", s.near)
    return path(strings, "none", s.near, 4) + lamps + stall + awning


def _observatory(draw: Draw, s: Scenery) -> str:
    points = [(draw.between(f"sx{i}", 45, 555), draw.between(f"sy{i}", 45, 450)) for i in range(46)]
    small = "".join(circle(x, y, 1.6 + (i % 3), "#f3f0dc") for i, (x, y) in enumerate(points[8:]))
    ordered = sorted(points[:8])
    lines = "M" + "L".join(f"{number(x)},{number(y)}" for x, y in ordered)
    bright = "".join(star(x, y, 11, 4, 0.32) for x, y in ordered)
    comet = draw.pick("comet", ((470, 96, 1), (130, 96, -1)))
    x, y, side = comet
    tail = path(
        f"M{x},{y}Q{x + side * 50},{y - 30} {x + side * 96},{y - 36}"
        f"Q{x + side * 46},{y - 10} {x},{y}Z",
        s.glow,
        more='fill-opacity=".7"',
    )
    hill = path("M20,520Q170,430 330,490T580,470V580H20Z", s.near)
    dome = (
        path("M438,482V430A44,44 0 0 1 526,430V482Z", s.near)
        + path("M474,388L500,352L512,360L494,392Z", s.near)
        + path("M448,436H516", "none", s.far, 4)
    )
    return (
        small
        + path(lines, "none", s.glow, 2, 'stroke-opacity=".55" stroke-dasharray="3 7"')
        + path(bright, "#fff6d8")
        + tail
        + circle(x, y, 8, "#fff6d8")
        + dome
        + hill
    )


def _orchard(draw: Draw, s: Scenery) -> str:
    rows = (
        path("M20,410Q300,340 580,410V580H20Z", s.far)
        + path("M20,480Q300,420 580,480V580H20Z", s.near)
        + path("M300,408L250,580M300,408L350,580M300,408L80,580M300,408L520,580", "none", s.far, 5)
    )
    boughs = "M20,60C110,70 170,50 250,84M580,52C500,66 440,46 360,78"
    leaves, fruit = "", ""
    fruits = draw.pick("fruit", ("#d1495b", "#e9a23b", "#8c4a8a"))
    for side in (0, 1):
        for i in range(15):
            x = draw.between(f"lx{side}{i}", 30, 240)
            y = draw.between(f"ly{side}{i}", 34, 110 - x / 6)
            x = x if side == 0 else 600 - x
            turn = draw.between(f"lt{side}{i}", 0.25, 0.75)
            leaves += path(leaf(x, y, 58, turn, 0.6), s.near if i % 3 else s.far)
            if i % 4 == 0:
                fruit += circle(x, y + 34, 15, fruits) + circle(x - 5, y + 29, 4, "#fffaf0")
    return rows + path(boughs, "none", "#7a5636", 11) + leaves + fruit


def _tidepools(draw: Draw, s: Scenery) -> str:
    ripples = ""
    for i in range(6):
        x, y = draw.between(f"px{i}", 60, 540), draw.between(f"py{i}", 60, 330)
        for r in (16, 32, 48):
            ripples += (
                f'<ellipse cx="{number(x)}" cy="{number(y)}" rx="{r * 1.3:.0f}" ry="{r * 0.6:.0f}"'
                f' fill="none" stroke="#fffaf0" stroke-width="4" stroke-opacity=".7"/>'
            )
    rocks = path(
        "M20,500C60,430 120,452 150,482C190,430 260,470 290,500C330,462 400,470 430,496"
        "C470,440 540,440 580,490V580H20Z",
        s.near,
    )
    sand = path("M20,430Q300,370 580,430V580H20Z", s.far)
    stars = ""
    for i, x in enumerate((86, 510)):
        colour = draw.pick(f"starfish{i}", ("#f28f6b", "#f2c14e", "#d9738c"))
        d = star(x, 512 + 14 * i, 36, 5, 0.42)
        stars += path(d, colour, colour, 12, 'stroke-linejoin="round"')
        stars += circle(x, 512 + 14 * i, 4, "#fffaf0")
    weed = "".join(
        f"M{x},580c-16,-34 14,-50 0,-{h}" for x, h in ((150, 96), (168, 74), (440, 104), (458, 80))
    )
    return ripples + sand + rocks + path(weed, "none", s.far, 9, 'stroke-linecap="round"') + stars


_SCENES: Mapping[Region, Callable[[Draw, Scenery], str]] = {
    Region.ATTIC: _attic,
    Region.GREENHOUSE: _greenhouse,
    Region.HARBOUR: _harbour,
    Region.HIGHLANDS: _highlands,
    Region.NIGHT_MARKET: _night_market,
    Region.OBSERVATORY: _observatory,
    Region.ORCHARD: _orchard,
    Region.TIDEPOOLS: _tidepools,
}
