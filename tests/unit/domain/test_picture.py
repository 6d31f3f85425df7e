"""Decides: pictures are well-formed, self-contained and the same each time, for any traits. Whether
they are handsome is for people to decide."""

import struct
import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import picture
from app.domain.objects import Traits, generate
from app.models import Category, Rarity, Region

SEEDS = st.integers(0, 2**63 - 1)
SVG = "{http://www.w3.org/2000/svg}"


def drawn(thing: Traits) -> ET.Element:
    return ET.fromstring(picture.svg(thing))  # noqa: S314 (our own text)


@given(SEEDS)
def test_an_objects_picture_is_always_the_same(seed: int) -> None:
    assert picture.svg(generate(seed)) == picture.svg(generate(seed))


@given(SEEDS, st.sampled_from(Category), st.sampled_from(Region), st.sampled_from(Rarity))
def test_a_picture_refers_to_nothing_outside_and_runs_nothing(
    seed: int, category: Category, region: Region, rarity: Rarity
) -> None:
    thing = replace(generate(seed), category=category, region=region, rarity=rarity)
    root = drawn(thing)
    allowed = {"svg", "defs", "linearGradient", "radialGradient", "stop", "g", "path", "circle"}
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= allowed | {
        "ellipse",
        "clipPath",
    }
    attributes = [item for element in root.iter() for item in element.attrib.items()]
    assert not [name for name, _ in attributes if "href" in name or name.startswith("on")]
    assert all("nan" not in value and "inf" not in value for _, value in attributes)
    ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    used = {v[5:-1] for _, v in attributes if v.startswith("url(#")}
    assert len(ids) == len(set(ids))
    assert used <= set(ids)
    assert len(picture.svg(thing)) < 60_000


@pytest.mark.parametrize(("category", "rarity"), list(product(Category, Rarity)))
def test_every_category_and_rarity_becomes_a_png(category: Category, rarity: Rarity) -> None:
    image = picture.png(replace(generate(5), category=category, rarity=rarity), 64)
    assert image[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", image[16:24]) == (64, 64)


def test_a_full_size_png_is_small_enough_for_a_post() -> None:
    sizes = [len(picture.png(generate(seed))) for seed in range(8)]
    assert max(sizes) < 1_000_000


def test_rarity_shows_in_the_shape_and_not_by_colour_alone() -> None:
    things = [replace(generate(5), rarity=rarity) for rarity in Rarity]
    shapes = [
        tuple(element.attrib.get("d", "") for element in drawn(thing).iter()) for thing in things
    ]
    assert len(set(shapes)) == len(Rarity)


def test_pictures_of_different_objects_differ() -> None:
    assert len({picture.svg(generate(seed)) for seed in range(300)}) == 300


def test_the_version_names_this_way_of_drawing() -> None:
    assert len(picture.version()) == 8
    assert picture.version() == picture.version()
