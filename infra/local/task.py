"""Runs one task to its end."""

from typing import cast

from infra.local import procfs
from infra.local.errors import LocalError
from infra.local.runner import Runner, log
from infra.local.spec import TaskSpec
from infra.local.store import Record, Status, now
from infra.local.workshop import explain


def settled(record: Record, status: Status | None) -> bool:
    """Whether the task has come to its end, good or bad, since it was last asked for."""
    return (
        status is not None
        and status.state in ("succeeded", "failed")
        and (status.digest, status.attempt) == (record.digest, record.attempt)
    )


class TaskRunner(Runner):
    def converge(self) -> None:
        while not self.halted and not settled(record := self.record, self.status):
            spec = cast(TaskSpec, record.spec())
            try:
                error = self._perform(record, spec)
            except (LocalError, OSError) as problem:
                error = str(problem)
            if self.halted or record != self.record:
                continue  # interrupted: not its own failure
            if error:
                log(f"{self.name}: {error}")
            self.show("failed" if error else "succeeded", last_error=error, finished_at=now())

    def halt(self) -> None:
        procfs.end(self.workshop.folder)

    def _perform(self, record: Record, spec: TaskSpec) -> str:
        procfs.end(self.workshop.folder)
        self.show(
            "running",
            digest=record.digest,
            attempt=record.attempt,
            sequence=record.sequence,
            started_at=now(),
            finished_at="",
            last_error="",
        )
        self.workshop.write_files(spec.files, self.status.files)
        self.show("running", files=list(spec.files))
        try:
            status = self.workshop.execute(
                spec,
                spec.command,
                spec.timeout_seconds,
                alarm=self.alarm,
                interrupted=lambda: self.halted or self.record != record,
            )
        finally:
            procfs.end(self.workshop.folder)
        return "" if status == 0 else explain(status)
