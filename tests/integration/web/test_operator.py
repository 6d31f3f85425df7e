"""Decides who gets to see dead letters and to settle them, that nobody else makes the operator's
browser do it, and that what is settled is what was seen. That no page is kept is decided with
all others in test_caching.py, how they look in tests/browser."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable
from itertools import cycle

import pytest
from flask import Flask
from flask.testing import FlaskClient
from markupsafe import escape
from werkzeug.test import TestResponse

from app.db import Database
from app.jobs import queue as jobs
from app.jobs.queue import Queue
from app.models import JobState, Lane, Priority
from app.settings import Settings
from app.web import create_app
from app.web.throttle import GUESSES
from tests.integration.web.test_pages import HOSTILE

pytestmark = pytest.mark.integration

PASSWORD = "correct horse battery"
PATH = "/operator/dead-letters"
ORIGIN = "http://localhost"
PUBLIC = "http://127.0.0.1:8080"  # what people see, where a CDN asks for the site as ORIGIN
OWN = {"Sec-Fetch-Site": "same-origin", "Origin": ORIGIN}


@pytest.fixture
def site(make_settings: Callable[..., Settings], database: Database) -> Flask:
    return create_app(make_settings(operator_password=PASSWORD), database)


@pytest.fixture
def visitor(site: Flask) -> FlaskClient:
    return site.test_client()


@pytest.fixture
def queue(database: Database) -> Queue:
    return Queue(database)


class Operator:
    """A browser that knows the password."""

    def __init__(self, site: Flask) -> None:
        self._client = site.test_client()

    def get(self, path: str = PATH) -> TestResponse:
        return self._client.get(path, auth=("operator", PASSWORD))

    def press(
        self, path: str, headers: dict[str, str] = OWN, /, **fields: str | None
    ) -> TestResponse:
        """Sends a form as the site gave it out, but for `fields`."""
        given = fields if "form" in fields else fields | {"form": self.form()}
        data = {name: value for name, value in given.items() if value is not None}
        return self._client.post(path, data=data, headers=headers, auth=("operator", PASSWORD))

    def form(self) -> str:
        return field(self.get().text, "form")


def field(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, f"no form with {name}"
    return html.unescape(found[1])


@pytest.fixture
def operator(site: Flask) -> Operator:
    return Operator(site)


def bury(
    database: Database, key: str, *, kind: str = "reply", error: str = "broken", **payload: str
) -> int:
    """A dead letter; its id."""
    with database.transaction() as tx:
        jobs.put(tx, kind=kind, key=key, payload=payload, priority=Priority.HIGH)
    queue = Queue(database)
    for lane in Lane:
        for job in queue.lease(lane, 10, "worker", 30):
            queue.bury(job, error)
            return job.id
    raise AssertionError("nothing to bury")


def states(database: Database) -> dict[str, str]:
    with database.read(fresh=True) as conn:
        return {row["key"]: row["state"] for row in conn.execute("SELECT key, state FROM jobs")}


def notice(operator: Operator, response: TestResponse) -> str:
    """What the page that a button leads to says about it."""
    assert response.status_code == 303, response.text
    found = re.search(r'role="status"><bdi>(.*?)</bdi>', operator.get(response.location).text)
    assert found, "nothing is said"
    return html.unescape(found[1])


def basic(words: str) -> str:
    return "Basic " + base64.b64encode(words.encode()).decode()


# -- who -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [PATH, f"{PATH}/1", f"{PATH}/1/requeue"])
def test_without_a_password_there_are_no_such_pages(client: FlaskClient, path: str) -> None:
    for answer in (client.get(path), client.post(path), client.get(path, auth=("operator", ""))):
        assert answer.status_code == 404
    assert "/operator" not in client.get("/status").text


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "Basic",
        "Basic ???",
        "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode(),
        basic("operator"),
        basic("operator:"),
        basic(f"operator:{PASSWORD[:-1]}"),
        basic(f"operator:{PASSWORD} "),
        basic(f"operator:{PASSWORD.upper()}"),
        basic(f"somebody:{PASSWORD}"),
        basic(f":operator:{PASSWORD}"),
        basic("opérateur:ÿ"),
        f"Bearer {PASSWORD}",
        f'Digest username="operator", response="{PASSWORD}"',
    ],
)
def test_who_does_not_know_the_password_sees_and_does_nothing(
    visitor: FlaskClient, database: Database, given: str | None
) -> None:
    id_ = bury(database, "at://secret")
    headers = OWN | ({} if given is None else {"Authorization": given})
    for answer in (
        visitor.get(PATH, headers=headers),
        visitor.get(f"{PATH}/{id_}", headers=headers),
        visitor.post(f"{PATH}/{id_}/drop", headers=headers),
        visitor.options(PATH, headers=headers),
    ):
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")
        assert "at://secret" not in answer.text
    assert states(database) == {"at://secret": "dead"}


def test_guessing_is_slowed_down_and_counts_for_all_pages_together(visitor: FlaskClient) -> None:
    most = int(GUESSES.split()[0])
    # Asking without a password is how browsers find out that one is wanted.
    assert {visitor.get(PATH).status_code for _ in range(2 * most)} == {401}
    pages = [("GET", PATH), ("GET", f"{PATH}/1"), ("POST", f"{PATH}/1/drop")]
    tried = [
        visitor.open(path, method=method, auth=("operator", f"guess {index}"))
        for index, (method, path) in zip(range(2 * most + 1), cycle(pages), strict=False)
    ]  # twice as many, for a minute may end in between
    assert [answer.status_code for answer in tried[:most]] == [401] * most
    refused = next(answer for answer in tried if answer.status_code == 429)
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["Cache-Control"] == "private, no-store"
    elsewhere = {"REMOTE_ADDR": "192.0.2.7"}
    right = visitor.get(PATH, auth=("operator", PASSWORD), environ_overrides=elsewhere)
    assert right.status_code == 200


def test_who_knows_the_password_is_not_slowed_down(operator: Operator) -> None:
    most = int(GUESSES.split()[0])
    assert {operator.get().status_code for _ in range(2 * most)} == {200}


# -- from where ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://other.localhost"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": f"{ORIGIN}.evil.example"},
        {"Origin": f"{ORIGIN}:8080"},
        {"Origin": "null"},
        {"Origin": ""},
    ],
)
@pytest.mark.parametrize("act", ["drop", "requeue"])
def test_what_another_site_makes_the_browser_send_is_refused(
    operator: Operator, database: Database, headers: dict[str, str], act: str
) -> None:
    id_ = bury(database, "a")
    for path in (f"{PATH}/{id_}/{act}", f"{PATH}/{act}"):
        answer = operator.press(path, headers, kind="reply", sure="yes")
        assert answer.status_code == 403
        assert "Nothing was changed" in answer.text
    assert states(database) == {"a": "dead"}


@pytest.mark.parametrize("form", [None, "", "x", "ImZvcm0i.Z0.x"])
def test_a_form_that_the_site_did_not_give_out_is_refused(
    operator: Operator, database: Database, form: str | None
) -> None:
    id_ = bury(database, "a")
    for headers in (OWN, {}):
        assert operator.press(f"{PATH}/{id_}/drop", headers, form=form).status_code == 403
    assert states(database) == {"a": "dead"}


def test_a_notice_is_no_form_and_a_form_is_no_notice(
    operator: Operator, database: Database
) -> None:
    first, second = bury(database, "a"), bury(database, "b")
    address = operator.press(f"{PATH}/{first}/requeue").location
    signed = address.partition("notice=")[2]
    assert operator.press(f"{PATH}/{second}/drop", form=signed).status_code == 403
    for forged in (operator.form(), "Dropped+everything"):
        assert 'role="status"' not in operator.get(f"{PATH}?notice={forged}").text


def test_a_browser_too_old_to_tell_where_from_can_still_be_used(
    operator: Operator, database: Database
) -> None:
    for key, headers in {"a": {}, "b": {"Origin": ORIGIN}, "c": {"Origin": PUBLIC}}.items():
        id_ = bury(database, key)
        bury(database, f"{key} beside")
        assert operator.press(f"{PATH}/{id_}/requeue", headers).status_code == 303
        Queue(database).lease(Lane.REPLIES, 10, "worker", 30)
    assert states(database) == {
        "a": "leased",
        "a beside": "dead",
        "b": "leased",
        "b beside": "dead",
        "c": "leased",
        "c beside": "dead",
    }


@pytest.mark.parametrize("path", [f"{PATH}/1/drop", f"{PATH}/1/requeue", f"{PATH}/drop"])
def test_a_link_changes_nothing(operator: Operator, path: str) -> None:
    assert operator.get(path).status_code == 405


# -- what ----------------------------------------------------------------------------------------


def test_the_list_shows_newest_first_what_died_why_and_filters_by_kind(
    operator: Operator, database: Database
) -> None:
    bury(database, "at://one", error="Traceback ...\n  File x\nTimeoutError: no answer\n")
    bury(database, "at://two", kind="claim", error="E" * 5000)
    everything = operator.get().text
    assert everything.index("at://two") < everything.index("at://one")
    assert "TimeoutError: no answer" in everything
    assert "Traceback" not in everything
    assert "E" * 300 not in everything
    assert re.search(r"all <b>2</b>", everything)
    assert "Drop all" not in everything, "of which kind?"
    claims = operator.get(f"{PATH}?kind=claim").text
    assert "at://two" in claims
    assert "at://one" not in claims
    assert "There are no dead letters" in operator.get(f"{PATH}?kind=other%00").text


def test_a_letter_shows_payload_error_and_attempts_whole(
    operator: Operator, database: Database
) -> None:
    id_ = bury(database, "a", error="Traceback ...\n" + "E" * 3000 + "\nthe end", text="Grüße 🫖")
    page = operator.get(f"{PATH}/{id_}").text
    for part in ("Traceback ...", "E" * 3000, "the end", "Grüße 🫖"):
        assert part in page
    assert "<dt>Attempts</dt><dd>1</dd>" in page


@pytest.mark.parametrize("id_", ["0", "999999", str(2**63), "9" * 50, "-1", "x", "1'--"])
def test_a_job_that_does_not_exist_is_not_found(operator: Operator, id_: str) -> None:
    assert operator.get(f"{PATH}/{id_}").status_code == 404


@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_strangers_wrote_is_only_shown(
    operator: Operator, database: Database, hostile: str
) -> None:
    id_ = bury(database, f"k {hostile}", kind=f"k {hostile}", error=hostile, text=hostile)
    kind = operator.get().text.split("kind=")[1].split('"')[0]
    for path in (PATH, f"{PATH}?kind={kind}", f"{PATH}/{id_}"):
        page = operator.get(path).text
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert escape(hostile) in page
    said = operator.press(f"{PATH}/{id_}/requeue")
    assert f"Requeued {escape(f'k {hostile} k {hostile}')}" in operator.get(said.location).text


# -- done ----------------------------------------------------------------------------------------


def test_a_requeued_letter_is_due_with_all_its_attempts(
    operator: Operator, database: Database, queue: Queue
) -> None:
    id_ = bury(database, "again")
    bury(database, "stays")
    answer = operator.press(f"{PATH}/{id_}/requeue", back="reply")
    assert "kind=reply" in answer.location
    assert notice(operator, answer) == "Requeued reply again"
    assert states(database) == {"again": "waiting", "stays": "dead"}
    [job] = queue.lease(Lane.REPLIES, 10, "worker", 30)
    assert (job.key, job.attempts) == ("again", 1)
    page = operator.get(f"{PATH}/{id_}").text
    assert "no dead letter" in page
    assert "<button" not in page.split("<main")[1]


def test_a_dropped_letter_is_gone(operator: Operator, database: Database) -> None:
    id_ = bury(database, "gone")
    bury(database, "stays")
    assert notice(operator, operator.press(f"{PATH}/{id_}/drop")) == "Dropped reply gone"
    assert states(database) == {"stays": "dead"}
    assert operator.get(f"{PATH}/{id_}").status_code == 404


@pytest.mark.parametrize("act", ["requeue", "drop"])
def test_pressing_twice_or_after_somebody_else_does_no_more(
    operator: Operator, database: Database, queue: Queue, act: str
) -> None:
    id_ = bury(database, "a")
    bury(database, "stays")
    form = operator.form()
    queue.requeue(id_)
    answer = operator.press(f"{PATH}/{id_}/{act}", form=form)
    assert notice(operator, answer) == f"Job {id_} is no dead letter any more"
    assert states(database) == {"a": "waiting", "stays": "dead"}


@pytest.mark.parametrize("act", ["requeue", "drop"])
def test_all_of_a_kind_are_settled_but_not_what_died_since_the_operator_looked(
    operator: Operator, database: Database, act: str
) -> None:
    for key in ("a", "b"):
        bury(database, key)
    bury(database, "other", kind="claim")
    seen = operator.get(f"{PATH}?kind=reply").text
    bury(database, "unseen")
    answer = operator.press(
        f"{PATH}/{act}", kind=field(seen, "kind"), until=field(seen, "until"), sure="yes"
    )
    done = {"requeue": "Requeued", "drop": "Dropped"}[act]
    assert notice(operator, answer) == f"{done} 2 of kind reply"
    left = {"other": "dead", "unseen": "dead"}
    requeued: dict[str, str] = dict.fromkeys("ab", JobState.WAITING)
    assert states(database) == (left | requeued if act == "requeue" else left)


@pytest.mark.parametrize(
    "changes",
    [
        {"sure": None},
        {"sure": "no"},
        {"kind": None},
        {"until": None},
        {"until": "yesterday"},
        {"until": "2999-01-01T00:00:00"},
    ],
)
def test_dropping_all_has_to_be_meant_and_said_exactly(
    operator: Operator, database: Database, changes: dict[str, str | None]
) -> None:
    bury(database, "a")
    good: dict[str, str | None] = {
        "kind": "reply",
        "until": "2999-01-01T00:00:00+00:00",
        "sure": "yes",
    }
    assert operator.press(f"{PATH}/drop", **good | changes).status_code == 400
    assert states(database) == {"a": "dead"}
    assert operator.press(f"{PATH}/drop", **good).status_code == 303
    assert states(database) == {}
