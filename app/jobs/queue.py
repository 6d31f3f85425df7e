"""The queue over PostgreSQL, which alone decides what is to do, who does it and whether it is done.

A worker *leases* a job for a while and commits the job's effect together with `finish`. A lease
that ran out is leased again by somebody else; then `finish` of the first worker raises LeaseLost
and its effect is rolled back. So every effect happens once, whoever is killed when.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

import structlog
from psycopg.types.json import Jsonb

from app import metrics
from app.db import Database, Transaction
from app.errors import EtceteraError
from app.jobs import stats
from app.jobs.policy import MAX_ATTEMPTS, urgency
from app.jobs.queries import SQL
from app.models import Job, JobState, Lane, Priority

log = structlog.get_logger(__name__)

_ERROR_LENGTH = 4000  # characters of an error that are kept
_FIELDS = tuple(field.name for field in fields(Job))


class LeaseLost(EtceteraError):  # noqa: N818 - named as the event
    """Somebody else holds the lease now; what this worker did must not be committed."""


def put(
    tx: Transaction,
    *,
    kind: str,
    key: str,
    payload: Mapping[str, Any],
    priority: Priority,
    delay: timedelta = timedelta(0),
) -> bool:
    """Adds a job that is due after `delay`, in the caller's transaction.

    False when there is, or ever was, a job of this kind and key: its first version stays.
    """
    added = SQL.put(
        tx.conn,
        kind=kind,
        key=key,
        payload=Jsonb(dict(payload)),
        priority=int(priority),
        delay=delay,
    )
    return added is not None


def finish(tx: Transaction, job: Job) -> None:
    """Marks a leased job done, in the transaction of its effect. Raises LeaseLost."""
    if not SQL.finish(tx.conn, id=job.id, worker=job.leased_by, attempts=job.attempts):
        raise LeaseLost(f"job {job.id} ({job.kind} {job.key}) was taken over")


def keep_waiting(tx: Transaction, kind: str, key: str) -> bool:
    """Whether a job waits: it then begins after this transaction and sees what that has done."""
    return bool(SQL.keep_waiting(tx.conn, kind=kind, key=key))


def hold(tx: Transaction, job: Job) -> None:
    """Keeps others from taking a job over until the transaction ends. Raises LeaseLost."""
    if not SQL.hold(tx.conn, id=job.id, worker=job.leased_by, attempts=job.attempts):
        raise LeaseLost(f"job {job.id} ({job.kind} {job.key}) was taken over")


class Queue:
    """Leases jobs and settles them. Thread-safe; every method is a transaction of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def lease(
        self,
        lane: Lane,
        count: int,
        worker: str,
        lease_seconds: float,
        *,
        least_first: bool = False,
    ) -> list[Job]:
        """Up to `count` due jobs of a lane; empty when nothing is due.

        Those that are most urgent by now, or with `least_first` those of the lowest priority.
        """
        with self._database.transaction() as tx:
            rows = list(
                SQL.lease(
                    tx.conn,
                    lane=lane,
                    count=count,
                    least_first=least_first,
                    worker=worker,
                    seconds=lease_seconds,
                    max_attempts=MAX_ATTEMPTS,
                )
            )
        return _leased(rows)

    def lease_ids(self, ids: Sequence[int], worker: str, lease_seconds: float) -> list[Job]:
        """Those of `ids` that are effects, due and free, most urgent first."""
        with self._database.transaction() as tx:
            rows = list(
                SQL.lease_ids(
                    tx.conn,
                    ids=list(ids),
                    worker=worker,
                    seconds=lease_seconds,
                    max_attempts=MAX_ATTEMPTS,
                )
            )
        return _leased(rows)

    def next_due(self, lane: Lane) -> float | None:
        """Seconds until a job of a lane may be leased, 0 if one may be now; None without any."""
        with self._database.read(fresh=True) as conn:
            seconds: float | None = SQL.next_due(conn, lane=lane)
        return None if seconds is None else max(0.0, seconds)

    def next_undispatched(self) -> float | None:
        """As `next_due`, for effects that are not on a stream."""
        with self._database.read(fresh=True) as conn:
            seconds: float | None = SQL.next_undispatched(conn)
        return None if seconds is None else max(0.0, seconds)

    def extend(self, jobs: Sequence[Job], worker: str, lease_seconds: float) -> set[int]:
        """Prolongs leases; returns the ids of those that `worker` still holds."""
        with self._database.transaction() as tx:
            rows = list(
                SQL.extend(
                    tx.conn,
                    ids=[job.id for job in jobs],
                    attempts=[job.attempts for job in jobs],
                    worker=worker,
                    seconds=lease_seconds,
                )
            )
        return {row["id"] for row in rows}

    def release(self, jobs: Sequence[Job], worker: str) -> None:
        """Gives back leases of jobs that were not started."""
        with self._database.transaction() as tx:
            SQL.release(
                tx.conn,
                ids=[job.id for job in jobs],
                attempts=[job.attempts for job in jobs],
                worker=worker,
            )

    def retry(self, job: Job, error: str, *, after: timedelta, failed: bool = True) -> None:
        """Makes a leased job due again `after` a while. Raises LeaseLost.

        With `failed=False` the attempt is given back: the job only waited for something.
        """
        with self._database.transaction() as tx:
            again = SQL.retry(
                tx.conn,
                id=job.id,
                worker=job.leased_by,
                attempts=job.attempts,
                delay=after,
                error=error[:_ERROR_LENGTH],
                refund=0 if failed else 1,
            )
        if again is None:
            raise LeaseLost(f"job {job.id} was taken over before it could be retried")

    def bury(self, job: Job, error: str) -> None:
        """Makes a leased job a dead letter. Raises LeaseLost."""
        with self._database.transaction() as tx:
            buried = SQL.bury(
                tx.conn,
                id=job.id,
                worker=job.leased_by,
                attempts=job.attempts,
                error=error[:_ERROR_LENGTH],
            )
        if not buried:
            raise LeaseLost(f"job {job.id} was taken over before it could be buried")

    def stats(self) -> stats.Stats:
        with self._database.read(fresh=True) as conn:
            return stats.stats(conn)

    def job(self, id_: int) -> Job | None:
        """A job in whatever state; None when there is none."""
        with self._database.read(fresh=True) as conn:
            row = SQL.job(conn, id=id_)
        return None if row is None else _job(row)

    def dead(self, count: int = 100, kind: str | None = None) -> list[Job]:
        """The newest dead letters, of all kinds or of one."""
        with self._database.read(fresh=True) as conn:
            return [_job(row) for row in SQL.dead(conn, kind=kind, count=count)]

    def dead_ids(self, kind: str | None = None) -> list[int]:
        """All dead letters, of all kinds or of one."""
        with self._database.read(fresh=True) as conn:
            return [row["id"] for row in SQL.dead_ids(conn, kind=kind)]

    def dead_kinds(self) -> dict[str, int]:
        """How many dead letters there are of each kind that has any."""
        with self._database.read(fresh=True) as conn:
            return {row["kind"]: row["count"] for row in SQL.dead_kinds(conn)}

    def requeue(self, id_: int) -> bool:
        """Makes a dead letter due now, with all its attempts; False when it is no dead letter."""
        with self._database.transaction() as tx:
            return SQL.requeue(tx.conn, id=id_) is not None

    def drop(self, id_: int) -> Job | None:
        """Deletes a dead letter and returns it; None when it is no dead letter."""
        with self._database.transaction() as tx:
            row = SQL.drop(tx.conn, id=id_)
        if row is None:
            return None
        return _dropped(row)

    def requeue_kind(self, kind: str, until: datetime) -> int:
        """Makes dead letters of a kind due now; how many. Those that died after `until` stay."""
        with self._database.transaction() as tx:
            return len(list(SQL.requeue_kind(tx.conn, kind=kind, until=until)))

    def drop_kind(self, kind: str, until: datetime) -> list[Job]:
        """Deletes dead letters of a kind and returns them. Those that died after `until` stay."""
        with self._database.transaction() as tx:
            rows = list(SQL.drop_kind(tx.conn, kind=kind, until=until))
        return [_dropped(row) for row in rows]


def _dropped(row: Mapping[str, Any]) -> Job:
    """The log keeps what a dropped dead letter was."""
    job = _job(row)
    log.warning("dead letter dropped", job=job.id, kind=job.kind, key=job.key)
    return job


def _leased(rows: Sequence[Mapping[str, Any]]) -> list[Job]:
    """The jobs of a lease query, most urgent first; those it buried are only reported."""
    leased: list[tuple[Priority, Job]] = []
    for row in rows:
        job = _job(row)
        if row["expired"]:
            metrics.LEASES_EXPIRED.inc()
        if job.state is JobState.DEAD:
            metrics.JOBS.labels(kind=job.kind, outcome="dead").inc()
            log.error("job buried", job=job.id, kind=job.kind, key=job.key, error=job.last_error)
        else:
            waited = (row["leased_at"] - job.run_at).total_seconds()
            leased.append((urgency(job.priority, waited), job))
    leased.sort(key=lambda one: (one[0], one[1].run_at, one[1].id))
    return [job for _, job in leased]


def _job(row: Mapping[str, Any]) -> Job:
    values = {name: row[name] for name in _FIELDS}
    values["priority"] = Priority(values["priority"])
    values["state"] = JobState(values["state"])
    return Job(**values)
