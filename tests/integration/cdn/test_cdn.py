"""Decides what the CDN keeps, for how long and for whom, with a real nginx and an origin that
counts: one question for many visitors, stale rather than late or broken, and nothing of one visitor
for another."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.cdn.conftest import LONG, TOKEN, Answer, Cdn, Origin, cdn_before, eventually

pytestmark = pytest.mark.integration

BRIEF = "public, s-maxage=1"
BRIEF_SWR = "public, max-age=0, s-maxage=1, stale-while-revalidate=30"
# nginx counts whole seconds: what is kept for one can last two.
BRIEFLY = 2.1


# -- one question for many -------------------------------------------------------------------------


def test_what_was_asked_once_is_not_asked_again(cdn: Cdn, origin: Origin) -> None:
    assert [cdn.cache("/a") for _ in range(3)] == ["miss", "hit", "hit"]
    assert origin.asked() == 1


def test_many_who_ask_at_once_are_one_question(cdn: Cdn, origin: Origin) -> None:
    origin.says("slow", seconds=0.3)
    with ThreadPoolExecutor(16) as visitors:
        answers = list(visitors.map(lambda _: cdn.get("/a"), range(16)))
    assert {answer.text for answer in answers} == {"slow"}
    assert origin.asked() == 1


@pytest.mark.parametrize(
    "other", ["/a?q=1&utm_source=x&fbclid=y", "/a?&q=1", "/%61?q=1", "/a?q=%31", "/a?q=1&"]
)
def test_an_address_spelt_otherwise_is_the_same(cdn: Cdn, origin: Origin, other: str) -> None:
    cdn.get("/a?q=1")
    assert cdn.cache(other) == "hit"
    assert origin.asked("/a?q=1") == origin.asked() == 1


def test_no_address_stands_for_another(cdn: Cdn, origin: Origin) -> None:
    origin.answer = lambda request: Answer(request.path)
    paths = [
        "/a?b",
        "/a%3Fb",
        "/a%3fc",
        "/A?b",
        "/a/?b",
        "/a?b=1&c",
        "/a?c&b=1",
        "/a%252Fb",
        "/a%2Fb",
    ]
    for path in paths * 2:
        # What was asked of the origin is what names the answer.
        assert cdn.get(path).text == path.replace("%3f", "%3F")
    assert origin.asked() == len(paths)


def test_nothing_of_the_visitor_reaches_a_question_for_all(cdn: Cdn, origin: Origin) -> None:
    cdn.get("/a", User_Agent="spy", Accept_Language="fr", X_Forwarded_Host="evil", Host="evil")
    (request,) = origin.requests
    assert {name.lower() for name in request.headers} == {
        "host",
        "accept-encoding",
        "x-request-id",
        "x-forwarded-for",
    }
    assert "evil" not in str(request.headers)


def test_compressed_and_plain_answers_are_kept_apart(cdn: Cdn, origin: Origin) -> None:
    origin.says("x" * 2000, Cache_Control=LONG, Vary="Accept-Encoding, Accept-Language")
    for coding in ("gzip", "identity", "br, gzip;q=0.5", "gzip;q=0, *"):
        answer = cdn.get("/a", Accept_Encoding=coding)
        assert answer.text == "x" * 2000
        assert ("Content-Encoding" in answer.headers) == (coding in ("gzip", "br, gzip;q=0.5"))
    assert origin.asked() == 2


# -- for how long ----------------------------------------------------------------------------------


def test_an_outdated_answer_is_given_while_one_asks_anew(cdn: Cdn, origin: Origin) -> None:
    origin.says("old", Cache_Control=BRIEF_SWR)
    cdn.get("/a")
    time.sleep(BRIEFLY)
    go_on = threading.Event()

    def late(_: object) -> Answer:
        go_on.wait(60)
        return Answer("new", {"Cache-Control": BRIEF_SWR})

    origin.answer = late
    try:
        with ThreadPoolExecutor(8) as visitors:
            answers = list(visitors.map(lambda _: cdn.get("/a"), range(8)))
        assert eventually(lambda: origin.asked() == 2)
    finally:
        go_on.set()
    assert {answer.text for answer in answers} == {"old"}
    assert {answer.headers["X-Cache"] for answer in answers} <= {"stale", "updating"}
    assert eventually(lambda: cdn.get("/a").text == "new")


def test_without_leave_nobody_gets_an_outdated_answer(cdn: Cdn, origin: Origin) -> None:
    origin.says("old", Cache_Control=BRIEF)
    cdn.get("/a")
    time.sleep(BRIEFLY)
    origin.says("new", Cache_Control=BRIEF)
    answer = cdn.get("/a")
    assert (answer.text, answer.headers["X-Cache"]) == ("new", "expired")


def test_an_unchanged_answer_is_not_sent_again(cdn: Cdn, origin: Origin) -> None:
    origin.says("same", Cache_Control=BRIEF, ETag='"1"')
    cdn.get("/a")
    time.sleep(BRIEFLY)
    answer = cdn.get("/a")
    assert (answer.text, answer.headers["X-Cache"]) == ("same", "revalidated")
    assert origin.requests[-1].headers["If-None-Match"] == '"1"'

    def kept() -> bool:
        mine = cdn.get("/a", If_None_Match='"1"')
        assert mine.status_code == 304
        return bool(mine.headers["X-Cache"] == "hit")

    assert eventually(kept)


def test_a_moment_ends_with_its_second(cdn: Cdn, origin: Origin) -> None:
    def answer(_: object) -> Answer:
        now = {"X-Accel-Expires": f"@{int(time.time())}"}
        return Answer(str(time.time()), {"Cache-Control": BRIEF, **now})

    origin.answer = answer
    visits, began = 0, int(time.time())
    while time.time() < began + 4:
        second = int(time.time())
        page = cdn.get("/a")
        assert int(float(page.text)) >= second, "from an earlier second"
        assert "X-Accel-Expires" not in page.headers
        visits += 1
        time.sleep(0.02)
    assert origin.asked() <= int(time.time()) - began + 1
    assert origin.asked() < visits


def test_a_page_that_is_gone_takes_the_place_of_what_it_was(cdn: Cdn, origin: Origin) -> None:
    origin.says("somebody", Cache_Control=BRIEF)
    cdn.get("/a")
    time.sleep(BRIEFLY)
    origin.says("nobody", status=404, Cache_Control=BRIEF)
    assert cdn.get("/a").status_code == 404
    time.sleep(BRIEFLY)
    origin.stop()
    answer = cdn.get("/a")
    assert (answer.status_code, answer.text) == (404, "nobody")


# -- when the site fails ---------------------------------------------------------------------------


def test_what_was_kept_outlives_its_origin(cdn: Cdn, origin: Origin) -> None:
    origin.says("kept", Cache_Control=BRIEF)
    cdn.get("/a")
    time.sleep(BRIEFLY)
    origin.stop()
    answer = cdn.get("/a")
    assert (answer.status_code, answer.text, answer.headers["X-Cache"]) == (200, "kept", "stale")
    unknown = cdn.get("/b")
    assert (unknown.status_code, unknown.headers["Retry-After"]) == (502, "5")
    assert "Back in a moment" in unknown.text
    assert unknown.headers["Cache-Control"] == "no-store"
    origin.says("back")
    origin.start()
    assert eventually(lambda: cdn.get("/b").text == "back")


def test_what_was_kept_hides_failures(cdn: Cdn, origin: Origin) -> None:
    statuses = (500, 502, 503, 504)
    origin.says("kept", Cache_Control=BRIEF)
    for status in statuses:
        cdn.get(f"/{status}")
    time.sleep(BRIEFLY)
    origin.answer = lambda request: Answer(
        "broken", {"Cache-Control": "no-store"}, int(request.path.rpartition("/")[2])
    )
    for status in statuses:
        assert cdn.get(f"/{status}").text == "kept"
        assert cdn.get(f"/new/{status}").status_code == status
    origin.says("mended", Cache_Control=BRIEF)
    assert all(eventually(lambda s=s: cdn.get(f"/{s}").text == "mended") for s in statuses)  # type: ignore[misc]


def test_few_wait_for_an_origin_that_hangs(cdn: Cdn, origin: Origin) -> None:
    origin.says("kept", Cache_Control=BRIEF)
    cdn.get("/a")
    time.sleep(BRIEFLY)
    origin.says("late", seconds=60)

    def visit(_: int) -> float:
        began = time.monotonic()
        assert cdn.get("/a").text == "kept"
        return time.monotonic() - began

    with ThreadPoolExecutor(8) as visitors:  # who comes first waits, yet not for the origin
        assert max(visitors.map(visit, range(8))) < 50
    # Who waits does so for the five seconds of a question; one goes and looks now and then.
    waited = [visit(number) >= 5 for number in range(20)]
    assert waited.count(True) <= 10


# -- for whom --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"Cache-Control": LONG, "Set-Cookie": "who=me"},
        {"Cache-Control": "private, max-age=60"},
        {"Cache-Control": "no-store"},
        {"Cache-Control": "no-cache"},
        {"Cache-Control": LONG, "Vary": "*"},
        {"Content-Type": "text/plain"},
    ],
)
def test_what_is_not_for_everybody_is_not_kept(
    cdn: Cdn, origin: Origin, headers: dict[str, str]
) -> None:
    origin.answer = lambda _: Answer("mine", headers)
    assert [cdn.cache("/a") for _ in range(2)] == ["miss", "miss"]
    assert origin.asked() == 2


@pytest.mark.parametrize("headers", [{"Cookie": "who=me"}, {"Authorization": "Basic bWU6bWU="}])
def test_who_says_who_he_is_has_the_origin_for_himself(
    cdn: Cdn, origin: Origin, headers: dict[str, str]
) -> None:
    cdn.get("/a")
    origin.answer = lambda _: Answer("mine")
    answers = [cdn.get("/a", **headers), cdn.get("/b", **headers)]
    assert [(one.text, one.headers["X-Cache"]) for one in answers] == [("mine", "bypass")] * 2
    for name, value in headers.items():
        assert origin.requests[-1].headers[name] == value
    origin.says("public")
    assert cdn.get("/a").text == "hello"
    assert cdn.get("/b").text == "public"


def test_what_changes_something_goes_through(cdn: Cdn, origin: Origin) -> None:
    cdn.get("/a")
    answer = cdn.http.post(f"{cdn.server.url}/a?utm_id=1", content=b"x" * 20_000)
    assert answer.headers["X-Cache"] == "bypass"
    assert (origin.requests[-1].method, origin.requests[-1].path) == ("POST", "/a?utm_id=1")
    assert origin.requests[-1].body == b"x" * 20_000


@pytest.mark.parametrize("path", ["/operator/dead-letters", "/%6fperator", "//operator", "/readyz"])
def test_operators_and_probes_are_never_answered_from_what_is_kept(
    cdn: Cdn, origin: Origin, path: str
) -> None:
    assert [cdn.cache(path) for _ in range(2)] == ["bypass", "bypass"]
    assert origin.asked() == 2


def test_a_visitor_cannot_choose_the_address_he_is_taken_for(cdn: Cdn, origin: Origin) -> None:
    for path, headers in (("/a", {}), ("/b", {"Cookie": "a=b"})):
        claims = {"X-Forwarded-For": "203.0.113.9", "X-Request-Id": "chosen"}
        cdn.get(path, **headers, **claims)
        assert origin.requests[-1].headers.get_all("X-Forwarded-For") == ["127.0.0.1"]
        assert origin.requests[-1].headers["X-Request-Id"] != "chosen"


def test_every_visitor_has_a_request_id_of_his_own(cdn: Cdn, origin: Origin) -> None:
    origin.says(Cache_Control=LONG, X_Request_Id="of-who-came-first")
    ids = [cdn.get("/a").headers["X-Request-Id"] for _ in range(2)]
    assert "of-who-came-first" not in ids
    assert len(set(ids)) == 2


# -- purging ---------------------------------------------------------------------------------------


def test_a_purged_address_is_asked_anew_and_no_other(cdn: Cdn) -> None:
    for path in ("/a?q=1", "/b"):
        cdn.get(path)
        cdn.get(path, Accept_Encoding="identity")
    answer = cdn.purge(paths=["/a?q=1&utm_source=x", "/c"])
    assert (answer.status_code, answer.json()) == (200, {"purged": ["/a?q=1&utm_source=x"]})
    assert cdn.cache("/a?q=1") == cdn.cache("/a?q=1", Accept_Encoding="identity") == "miss"
    assert cdn.cache("/b") == "hit"


def test_everything_can_be_purged(cdn: Cdn) -> None:
    for path in ("/a", "/b"):
        cdn.get(path)
    assert cdn.purge(all=True).json() == {"purged": "all"}
    assert [cdn.cache(path) for path in ("/a", "/b")] == ["miss", "miss"]
    assert cdn.cache("/a") == "hit"


def test_what_was_purged_stays_so_when_the_cdn_starts_again(origin: Origin) -> None:
    with cdn_before(origin.address) as first:
        first.purge(all=True)
        purged = (first.server.folder / "generation").read_text()
    with cdn_before(origin.address, files={"generation": purged}) as second:
        second.get("/a")
        (kept,) = (path for path in (second.server.folder / "cache").rglob("*") if path.is_file())
    assert kept.name == hashlib.md5(b"1 gzip /a", usedforsecurity=False).hexdigest()


@pytest.mark.parametrize("token", [None, "wrong", TOKEN[:-1], f"{TOKEN}x"])
def test_purging_takes_the_token(cdn: Cdn, token: str | None) -> None:
    cdn.get("/a")
    answer = cdn.purge(token, all=True)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert TOKEN not in answer.text
    assert cdn.cache("/a") == "hit"


@pytest.mark.parametrize(
    "wanted", [{}, {"paths": "a"}, {"paths": ["a"]}, {"paths": [1]}, {"all": "yes"}]
)
def test_a_wrong_wish_is_explained(cdn: Cdn, wanted: dict[str, object]) -> None:
    cdn.get("/a")
    answer = cdn.purge(**wanted)
    assert answer.status_code == 400
    assert "paths" in answer.json()["error"]
    assert cdn.cache("/a") == "hit"


def test_visitors_do_not_reach_what_operators_do(cdn: Cdn, origin: Origin) -> None:
    origin.says("not here", status=404, Cache_Control="no-store")
    for path in ("/purge", "/metrics"):
        assert cdn.get(path).status_code == 404
    assert cdn.http.get(f"{cdn.operations}/purge").status_code == 403
    assert cdn.http.get(f"{cdn.operations}/healthz").text == "ok\n"


# -- metrics and disk ------------------------------------------------------------------------------


def test_every_request_is_counted_by_what_the_cache_had(cdn: Cdn, origin: Origin) -> None:
    for _ in range(3):
        cdn.get("/a")
    cdn.get("/a", Cookie="a=b")
    origin.says("", status=404, Cache_Control="no-store")
    cdn.get("/b")
    assert eventually(lambda: cdn.metrics().get("etcetera_cdn_requests_total/miss/4xx") == 1)
    found = cdn.metrics()
    requests = {k: v for k, v in found.items() if k.startswith("etcetera_cdn_requests_total")}
    assert requests == {
        "etcetera_cdn_requests_total/miss/2xx": 1,
        "etcetera_cdn_requests_total/hit/2xx": 2,
        "etcetera_cdn_requests_total/bypass/2xx": 1,
        "etcetera_cdn_requests_total/miss/4xx": 1,
    }
    assert found["etcetera_cdn_request_seconds_count/hit"] == 2
    assert found["etcetera_cdn_request_seconds_bucket/hit/+Inf"] == 2
    assert found["etcetera_cdn_request_seconds_count/miss"] == 2
    assert found["etcetera_cdn_bytes_total/hit"] > 200


def test_the_disk_does_not_fill(origin: Origin) -> None:
    origin.answer = lambda _: Answer(os.urandom(50_000).hex())
    with cdn_before(origin.address, cache_mb=1) as cdn:
        with ThreadPoolExecutor(4) as visitors:
            list(visitors.map(lambda n: cdn.get(f"/{n}", Accept_Encoding="identity"), range(60)))
        cache = cdn.server.folder / "cache"

        def size() -> int:
            return sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())

        assert eventually(
            lambda: size() < 1_200_000,
        )
        assert cdn.cache("/59", Accept_Encoding="identity") == "hit"
