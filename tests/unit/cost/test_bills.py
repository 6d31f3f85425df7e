"""Decides that a bill adds up, says what it leaves out, and ages."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.cost import page
from infra.cost.book import HOURS_PER_MONTH, Price, PriceBook, Purchase, UnpricedError
from infra.cost.lines import CostLine, Kind, priced
from infra.cost.regions import REGIONS
from infra.cost.report import Bill, report
from infra.phases import PHASES

TODAY = date(2026, 11, 23)


def price(value: float, unit: str = "month", **more: object) -> Price:
    return Price.model_validate(
        {
            "value": value,
            "unit": unit,
            "source": "a price list",
            "as_of": TODAY,
            "evidence": "source",
            **more,
        }
    )


BOOK = PriceBook(
    region="us-east-1",
    currency="USD",
    prices={
        "machine": price(0.1, "hour", committed=0.06, spot=0.03),
        "disk": price(0.08, "gb-month"),
        "transfer": price(0.09, "gb", free=100),
    },
)


def bill(*lines: CostLine, phase: int = 1) -> Bill:
    return Bill.of(PHASES[phase], lines, BOOK)


def test_an_hour_counts_as_often_as_a_month_has_hours() -> None:
    assert bill(CostLine("a", "machine", 2)).effective == pytest.approx(2 * 0.1 * HOURS_PER_MONTH)


def test_what_is_bought_otherwise_keeps_its_list_price_beside_it() -> None:
    found = bill(CostLine("a", "machine", 1, purchase=Purchase.COMMITTED))
    assert found.on_demand == pytest.approx(73.0)
    assert found.effective == pytest.approx(43.8)


def test_what_cannot_be_bought_that_way_is_refused() -> None:
    with pytest.raises(ValueError, match="no spot price"):
        _ = bill(CostLine("a", "disk", 1, purchase=Purchase.SPOT)).effective


def test_what_has_no_price_is_refused_by_name() -> None:
    with pytest.raises(UnpricedError, match=r"moon has no price: add it to pricebook\.yaml"):
        bill(CostLine("a", "moon", 1))


def test_free_units_are_shared_by_all_lines_of_an_item() -> None:
    lines = [CostLine("a", "transfer", 80), CostLine("b", "transfer", 80)]
    assert [line.paid_units for line in priced(lines, BOOK)] == [0, 60]


@given(st.lists(st.tuples(st.sampled_from(["machine", "disk", "transfer"]), st.floats(0, 1e4))))
def test_lines_and_components_add_up_to_the_total(given: list[tuple[str, float]]) -> None:
    lines = [CostLine(f"part-{n % 3}", item, many) for n, (item, many) in enumerate(given)]
    found = bill(*lines)
    assert sum(found.by_component().values()) == pytest.approx(found.effective)
    document = report(found, TODAY, basis="deployed")
    cents = len(document["lines"]) * 0.005 + 0.01
    assert sum(one["effective"] for one in document["lines"]) == pytest.approx(
        document["total"]["effective"], abs=cents
    )


def test_the_report_says_whether_the_budget_is_kept_and_whether_on_demand_would_keep_it() -> None:
    kept = report(
        bill(CostLine("a", "machine", 2, purchase=Purchase.SPOT, gives_up=("may be taken away",))),
        TODAY,
        basis="deployed",
    )
    assert kept["budget"]["fits"]
    assert not kept["budget"]["fitsOnDemand"]
    assert kept["choices"] == ["may be taken away"]
    beyond = report(bill(CostLine("a", "machine", 2)), TODAY, basis="deployed")
    assert not beyond["budget"]["fits"]
    assert beyond["budget"]["headroomPct"] < 0


def test_the_report_names_what_drove_the_difference_to_the_phase_before() -> None:
    before = bill(CostLine("database", "machine", 1), CostLine("web", "disk", 10), phase=0)
    after = bill(CostLine("database", "machine", 3), CostLine("web", "disk", 10), phase=1)
    delta = report(after, TODAY, basis="deployed", before=before)["delta"]
    assert delta["fromPhase"] == "phase0"
    assert delta["effective"] == pytest.approx(146.0)
    assert delta["drivers"] == [{"component": "database", "effective": pytest.approx(146.0)}]


def test_prices_that_were_read_long_ago_are_named() -> None:
    found = bill(CostLine("a", "disk", 1, kind=Kind.USAGE))
    assert report(found, TODAY + timedelta(days=180), basis="x")["pricebook"]["stale"] == []
    late = report(found, TODAY + timedelta(days=181), basis="x")
    assert late["pricebook"]["stale"] == ["disk"]


def test_another_region_is_priced_at_its_level_and_says_that_it_is_an_estimate() -> None:
    there = BOOK.at(REGIONS["ap-southeast-1"], "ap-southeast-1")
    assert there["machine"].value == pytest.approx(0.126)
    assert there["machine"].evidence == "derived"
    assert BOOK.at(REGIONS["us-east-1"], "us-east-1")["machine"] == BOOK["machine"]


def test_every_price_of_the_book_has_a_source_and_is_cheaper_when_committed() -> None:
    book = PriceBook.load()
    for item, one in book.prices.items():
        assert one.source, item
        for cheaper in (one.spot, one.committed):
            assert cheaper is None or cheaper < one.value, item


def test_the_page_shows_every_stack_and_escapes_what_it_shows() -> None:
    document = report(
        bill(CostLine("a", "disk", 1, assumption="<b>guess</b>")), TODAY, basis="equivalent"
    )
    html = page.render({"one": document, "two": document})
    assert "<h2>one: 0.08" in html
    assert "<h2>two: 0.08" in html
    assert "&lt;b&gt;guess" in html
