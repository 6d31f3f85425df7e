"""Dead letters, for who operates the exchange: to read, to requeue, to drop.

Behind a password and kept by nobody. Without OPERATOR_PASSWORD these pages do not exist.
"""

from __future__ import annotations

import hmac
import json
from datetime import datetime
from urllib.parse import urlsplit

import structlog
from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from itsdangerous import BadData, URLSafeTimedSerializer
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import BadRequest, Forbidden, NotFound, Unauthorized

from app.jobs.queue import Queue
from app.models import Job, JobState
from app.web import http
from app.web.context import context, reads
from app.web.names import search_words

log = structlog.get_logger(__name__)

blueprint = Blueprint("operator", __name__, url_prefix="/operator")

USER = "operator"
SHOWN = 100
GIST_LENGTH = 240  # characters
FORM_SECONDS = 12 * 3600
NOTICE_SECONDS = 60

_LETTER = f"/dead-letters/<int(max={2**63 - 1}):id_>"


@blueprint.before_request
def _admit() -> None:
    if not _knows_the_password():
        raise Unauthorized(
            "These pages are for who operates the exchange.",
            www_authenticate=WWWAuthenticate("basic", {"realm": "Operator", "charset": "UTF-8"}),
        )
    if request.method == "POST" and not (_sent_from_here() and _form_is_ours()):
        raise Forbidden("Nothing was changed. Load the page again, and press the button there.")


@blueprint.after_request
def _keep_private(response: Response) -> Response:
    response.headers["Cache-Control"] = http.PRIVATE
    response.headers["X-Robots-Tag"] = "noindex"
    return response


def _knows_the_password() -> bool:
    password, given = context().settings.operator_password, request.authorization
    if password is None or given is None or given.type != "basic":
        return False
    wanted = f"{USER}:{password.get_secret_value()}"
    # In a time that does not tell how much of it is right.
    return hmac.compare_digest(f"{given.username}:{given.password}".encode(), wanted.encode())


def _sent_from_here() -> bool:
    """Browsers add the password to what other sites make them send; but they tell who made them."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("Origin")
    # A CDN asks for us by another name than the one that people see.
    ours = (request.host, urlsplit(context().settings.public_url).netloc)
    return origin is None or urlsplit(origin).netloc in ours


def _form_is_ours() -> bool:
    """Other sites cannot read our pages, so they do not know what our forms carry."""
    try:
        _signer("form").loads(request.form.get("form", ""), max_age=FORM_SECONDS)
    except BadData:
        return False
    return True


def _signer(purpose: str) -> URLSafeTimedSerializer:
    key = context().settings.secret_key.get_secret_value()
    return URLSafeTimedSerializer(key, salt=f"operator {purpose}")


def _queue() -> Queue:
    """Reads from the primary: what an operator sees is what there is."""
    return Queue(context().database)


@blueprint.get("/dead-letters")
def letters() -> Response:
    """The newest, of all kinds or of one."""
    kind = search_words(request.args.get("kind", "")) or None
    queue = _queue()
    found = queue.dead(SHOWN, kind)
    kinds = queue.dead_kinds()
    return _page(
        "operator_letters.html",
        found=[(job, gist(job)) for job in found],
        kind=kind,
        kinds=kinds,
        total=kinds.get(kind, 0) if kind else sum(kinds.values()),
        until=found[0].done_at if found else None,
        notice=_notice(),
    )


@blueprint.get(_LETTER)
def letter(id_: int) -> Response:
    """A job with all there is to know, a dead letter or what became of one."""
    job = _queue().job(id_)
    if job is None:
        raise NotFound("There is no such job. It may have been dropped.")
    return _page(
        "operator_letter.html",
        job=job,
        dead=job.state is JobState.DEAD,
        payload=json.dumps(job.payload, indent=2, ensure_ascii=False),
    )


@blueprint.post(f"{_LETTER}/requeue")
def requeue(id_: int) -> Response:
    queue = _queue()
    job = queue.job(id_)
    if job is None or not queue.requeue(id_):
        return _gone(id_)
    log.info("dead letter requeued", job=id_, kind=job.kind, key=job.key)
    return _done(f"Requeued {job.kind} {job.key}")


@blueprint.post(f"{_LETTER}/drop")
def drop(id_: int) -> Response:
    job = _queue().drop(id_)
    return _gone(id_) if job is None else _done(f"Dropped {job.kind} {job.key}")


@blueprint.post("/dead-letters/requeue")
def requeue_kind() -> Response:
    kind, until = _all_of_a_kind()
    count = _queue().requeue_kind(kind, until)
    log.info("dead letters requeued", kind=kind, count=count)
    return _done(f"Requeued {count} of kind {kind}")


@blueprint.post("/dead-letters/drop")
def drop_kind() -> Response:
    kind, until = _all_of_a_kind()
    if request.form.get("sure") != "yes":
        raise BadRequest("Nothing was dropped. Tick the box to say that you mean it.")
    return _done(f"Dropped {len(_queue().drop_kind(kind, until))} of kind {kind}")


def _all_of_a_kind() -> tuple[str, datetime]:
    """The kind, and when the newest died that the operator has seen: none goes unseen."""
    try:
        until = datetime.fromisoformat(request.form.get("until", ""))
        kind = search_words(request.form["kind"])
    except (ValueError, KeyError):
        raise BadRequest("The form does not say which dead letters.") from None
    if until.tzinfo is None:
        raise BadRequest("The form does not say until when.")
    return kind, until


def _gone(id_: int) -> Response:
    return _done(f"Job {id_} is no dead letter any more")


def _done(what: str) -> Response:
    """Back to the list, which then says so; loading that again does nothing again."""
    notice = _signer("notice").dumps(what[:GIST_LENGTH])
    kind = search_words(request.form.get("back", "")) or None
    response = redirect(url_for("operator.letters", kind=kind, notice=notice), 303)
    return make_response(response)


def _notice() -> str | None:
    """Signed, since a link of anybody's could say anything."""
    try:
        said = _signer("notice").loads(request.args.get("notice", ""), max_age=NOTICE_SECONDS)
    except BadData:
        return None
    return str(said)


def gist(job: Job) -> str:
    """The last line of an error, where Python says what happened, cut to a length."""
    lines = (job.last_error or "").strip().splitlines()
    text = lines[-1].strip() if lines else "no error was kept"
    return text if len(text) <= GIST_LENGTH else f"{text[: GIST_LENGTH - 1]}…"


def _page(template: str, **values: object) -> Response:
    form = _signer("form").dumps("")
    return make_response(render_template(template, form=form, now=reads().now(), **values))
