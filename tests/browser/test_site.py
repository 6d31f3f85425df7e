"""Decides in a real browser that every page can be used by everybody: on a phone and a desk, light
and dark, by keyboard, with a screen reader, without JavaScript. Screenshots go to
build/screenshots, for people to judge."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.browser.conftest import Go, Scheme, Site
from tests.integration.web.test_operator import bury

pytestmark = pytest.mark.browser

AUDIT = (Path(__file__).parent / "audit.js").read_text(encoding="utf-8")
PATHS = {
    "home": "/",
    "objects": "/objects",
    "object": "/objects/{object_id}",
    "person": "/@{handle}",
    "leaderboard": "/leaderboard",
    "search": "/search?q=o",
    "nothing-found": "/search?q=zzz",
    "how-it-works": "/how-it-works",
    "status": "/status",
    "api": "/api",
    "not-found": "/nothing-here",
}


def path_of(name: str, site: Site) -> str:
    return PATHS[name].format(object_id=site.object_id, handle=site.people[0].handle)


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_a_page_is_accessible_and_fits_its_screen(
    go: Go, site: Site, name: str, width: int, scheme: Scheme
) -> None:
    visit = go(path_of(name, site), width=width, scheme=scheme)
    assert visit.page.evaluate(AUDIT) == []
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    visit.screenshot(f"{name}-{width}-{scheme}")
    # Violations of the content security policy, missing files and script errors show up here.
    assert [text for text in visit.complaints if "404" not in text or name != "not-found"] == []


@pytest.mark.parametrize("name", ["home", "object", "status"])
@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "dark")])
def test_colours_hold_in_the_other_scheme_too(
    go: Go, site: Site, name: str, width: int, scheme: Scheme
) -> None:
    visit = go(path_of(name, site), width=width, scheme=scheme)
    assert visit.page.evaluate(AUDIT) == []
    visit.screenshot(f"{name}-{width}-{scheme}")


def test_nothing_is_cut_off_on_the_narrowest_phones(go: Go, site: Site) -> None:
    page = go("/", width=320).page
    for name in PATHS:
        page.goto(path_of(name, site))
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, name


def test_the_keyboard_reaches_the_content_first_and_shows_where_it_is(go: Go) -> None:
    page = go("/").page
    page.keyboard.press("Tab")
    skip = page.locator(":focus")
    assert skip.inner_text() == "Skip to content"
    box = skip.bounding_box()
    assert box is not None
    assert box["y"] >= 0
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    focused = page.locator("main :focus")
    assert focused.inner_text().startswith("Claim today")
    width = focused.evaluate("e => parseFloat(getComputedStyle(e).outlineWidth)")
    assert width >= 2


def test_rarity_is_a_word_and_a_shape_and_not_only_a_colour(go: Go) -> None:
    page = go("/objects").page
    cards = page.locator(".card")
    for index in range(cards.count()):
        rarity = cards.nth(index).locator(".rarity")
        assert rarity.inner_text().strip() in {"common", "uncommon", "rare", "epic", "legendary"}
        assert rarity.locator("svg.mark").count() == 1


def test_everything_is_there_without_javascript(go: Go, site: Site) -> None:
    page = go("/", javascript=False).page
    assert re.fullmatch(r"(\d+ h )?(\d+ (h|min|s))", page.locator("[data-countdown]").inner_text())
    assert int(page.locator('[data-live-value="objects"]').inner_text()) > 40
    page.get_by_role("searchbox").fill(site.people[0].handle)
    page.keyboard.press("Enter")
    page.get_by_role("link", name=f"@{site.people[0].handle}").first.click()
    assert page.get_by_role("heading", level=1).inner_text() == site.people[0].display_name
    page.locator(".card-name a").first.click()
    assert page.get_by_role("heading", name="Provenance").is_visible()
    assert page.locator(".frame img").get_attribute("alt")


def test_pictures_are_drawn(go: Go, site: Site) -> None:
    page = go(f"/objects/{site.object_id}").page
    page.wait_for_load_state("networkidle")
    assert page.locator(".frame img").evaluate("i => i.complete && i.naturalWidth") > 0


def test_numbers_move_while_somebody_looks(go: Go, site: Site) -> None:
    page = go("/").page
    number = page.locator('[data-live-value="claims_today"]')
    before = int(number.inner_text())
    newcomer = site.world.person("pip.test", "Pip")
    site.world.claim(newcomer)
    page.locator("[data-live-news] a").wait_for()
    assert int(number.inner_text()) > before
    page.locator("[data-live-news] a").click()
    assert page.locator(".card", has_text="@pip.test").count() == 1


def test_charts_move_while_somebody_looks(go: Go, site: Site) -> None:
    page = go("/status").page
    panel = page.locator('[data-fresh="chart-oldest"]')
    before = panel.locator("svg.chart path.line").first.get_attribute("d")
    page.evaluate("window.here = true")
    site.world.measure((0, "oldest", "high", 50.0))
    panel.locator("td", has_text="50.0 s").first.wait_for()
    assert panel.locator("svg.chart path.line").first.get_attribute("d") != before
    assert page.evaluate("window.here"), "without a reload"


def test_charts_are_there_without_javascript(go: Go) -> None:
    page = go("/status", javascript=False).page
    assert page.locator("svg.chart path.line").count() > 10
    table = page.locator('[data-fresh="chart-depth"] table')
    assert table.locator("tbody tr").count() == 3


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_the_operator_settles_dead_letters_without_javascript(
    go: Go, site: Site, width: int, scheme: Scheme
) -> None:
    for number in range(3):
        error = f"Traceback (most recent call last):\nTimeoutError: {'no answer ' * 20}"
        bury(site.world.database, f"at://did:plc:{'x' * 60}/{width}/{number}", error=error)
    path = "/operator/dead-letters"
    visit = go(path, width=width, scheme=scheme, operator=True)
    page = visit.page

    def judge(name: str) -> None:
        page.wait_for_load_state()
        assert page.evaluate(AUDIT) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        visit.screenshot(f"{name}-{width}-{scheme}")

    page.get_by_role("link", name="reply 3").click()
    judge("dead-letters")
    page.locator(".letters a").first.click()
    judge("dead-letter")

    page = go(path, width=width, operator=True, javascript=False).page
    page.locator(".letters").get_by_role("button").first.press("Enter")
    assert f"/{width}/2." in page.get_by_role("status").inner_text()
    page.get_by_role("link", name="reply 2").click()
    page.get_by_role("button", name="Drop all").click()
    assert page.locator(".letters li").count() == 2, "the box has to be ticked first"
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Drop all").click()
    assert page.get_by_role("status").inner_text() == "Dropped 2 of kind reply."
    assert page.get_by_text("There are no dead letters").is_visible()
    assert visit.complaints == []
