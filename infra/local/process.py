"""Keeps one long-lived process: starts, watches, restarts, reloads and ends it."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import cast

from infra.local import probes, procfs
from infra.local.errors import LocalError
from infra.local.ports import refuse_held
from infra.local.procfs import Seen
from infra.local.pulse import Pulse
from infra.local.runner import Runner, log
from infra.local.spec import Initialize, Probe, ProcessSpec, Stop
from infra.local.store import Record, now
from infra.local.workshop import Backoff, Event, explain

INITIALIZE_SECONDS = 600
STRAGGLER_SECONDS = 1.0
"""How long what a cleanly stopped process leaves behind may take to end by itself."""
STEADY_SECONDS = 0.3
"""A process without a probe is ready when it has lived this long."""
PATIENCE = 5
"""A process that never became ready is restarted after so many times its ready timeout."""
HUNG_SECONDS = 5.0
"""How long a process that no longer answers may take to end by itself."""
_LONG = 3600.0
"""Seconds to sleep when only an alarm or a death matters."""


class ProcessRunner(Runner):
    _child: "subprocess.Popen[bytes] | None" = None
    _pid = 0
    _kin: frozenset[Seen] = frozenset()

    def converge(self) -> None:
        backoff, attempt = Backoff(), 0
        self._adopt()
        while not self.halted:
            record = self.record
            spec = cast(ProcessSpec, record.spec())
            if self._surplus(spec):
                self._park(record)
                self.alarm.sleep(_LONG)
                continue
            if self._pid and self.status.running != spec.running_digest():
                self.halt()
            if record.attempt != attempt:
                attempt = record.attempt
                backoff.reset()
            try:
                if not self._pid:
                    self._begin(record, spec)
                    backoff.started()
                elif (self.status.digest, self.status.attempt) != (record.digest, attempt):
                    self._take_over(record, spec)
                done = self._watch(record, spec)
            except (LocalError, OSError) as error:
                self._fail(record, str(error))
                done = False
            if not done and not self.halted and self.record == record:
                self.alarm.sleep(backoff.pause())

    def halt(self, patience: float = inf) -> None:
        """Ends the process as its spec asks, then all it left behind.

        It is killed after `patience` seconds, or before where its spec says so.
        """
        if self._pid == 0:
            self._adopt()
        if self._pid:
            self.meet(procfs.everybody())
            stop = cast(ProcessSpec, self.record.spec()).stop if self.recorded else Stop()
            self.show("stopping")
            self._signal(stop.signal)
            self._signal("SIGCONT")  # a stopped process could not hear the first
            self._await_death(min(stop.timeout_seconds, patience))
        self._sweep(STRAGGLER_SECONDS)
        self._forget_child()
        if not self.removing:
            self.show("stopped", pid=0, birth="", running="")

    def _surplus(self, spec: ProcessSpec) -> bool:
        """Whether the pool is too small at the moment to have this one."""
        return spec.pool is not None and self.store.size(spec.pool) < spec.pool.ordinal

    def _park(self, record: Record) -> None:
        """Ends the process and tells that none is wanted; files and data stay."""
        if self.status.state != "parked" or self._pid:
            self.halt()
        if self.halted:
            return
        if (self.status.state, self.status.attempt) != ("parked", record.attempt):
            self.show(
                "parked",
                digest=record.digest,
                attempt=record.attempt,
                sequence=record.sequence,
                last_error="",
            )

    def meet(self, everyone: Collection[Seen]) -> None:
        """Remembers descendants: one that daemonises can cut every tie but this."""
        if self._pid:
            living = self._kin.intersection(everyone)
            known = [self._pid, *(one.pid for one in living)]
            self._kin = living | procfs.descendants(known, everyone)

    def _adopt(self) -> None:
        """Finds the process that an earlier supervisor started, even one it had not noted."""
        if procfs.lives(self.status.pid, self.status.birth):
            self._pid = self.status.pid
        elif found := procfs.started_for(self.workshop.folder):
            seen, digest = found
            self._pid = seen.pid
            self.show("starting", pid=seen.pid, birth=seen.birth, running=digest)
        if self._pid:
            log(f"{self.name}: adopted process {self._pid}")

    def _begin(self, record: Record, spec: ProcessSpec) -> None:
        procfs.end(self.workshop.folder)
        self.workshop.write_files(spec.files, self.status.files)
        for step in spec.initialize:
            self._initialize(spec, step)
        refuse_held(spec.ports, spec.port_hint)
        self._child = self.workshop.spawn(spec, spec.command, digest=spec.running_digest())
        self._pid = self._child.pid
        seen = procfs.look(self._pid)
        self.show(
            "starting",
            pid=self._pid,
            birth=seen.birth if seen else "",
            running=spec.running_digest(),
            digest=record.digest,
            attempt=record.attempt,
            sequence=record.sequence,
            started_at=now(),
            last_error="",
            files=list(spec.files),
        )

    def _initialize(self, spec: ProcessSpec, step: Initialize) -> None:
        target = self.workshop.folder / step.creates
        if target.exists():
            return
        self.show("initializing")
        staging = target.with_name(f".{target.name}.staging")
        _remove(staging)
        status = self.workshop.execute(
            spec,
            step.command,
            INITIALIZE_SECONDS,
            alarm=self.alarm,
            interrupted=lambda: self.halted,
            staging=staging,
        )
        procfs.end(self.workshop.folder)
        if status != 0:
            _remove(staging)
            raise LocalError(f"initializing failed: {step.command[0]} {explain(status)}")
        if staging.exists():
            staging.rename(target)
        if not target.exists():
            raise LocalError(f"initializing failed: {step.command[0]} did not make {step.creates}")

    def _take_over(self, record: Record, spec: ProcessSpec) -> None:
        """Gives a running process what can be changed without a restart."""
        changed = self.workshop.write_files(spec.files, self.status.files)
        if changed and spec.reload_signal:
            self._signal(spec.reload_signal)
        self.show(
            "starting",
            digest=record.digest,
            attempt=record.attempt,
            sequence=record.sequence,
            files=list(spec.files),
            last_error="",
        )

    def _watch(self, record: Record, spec: ProcessSpec) -> bool:
        """Probes until something else is wanted (True) or the process has gone (False)."""
        began, pause = time.monotonic(), 0.05
        pulse = Pulse(
            spec.liveness, 0 if self.status.state == "ready" else spec.ready_timeout_seconds
        )
        while not self.halted and self.record == record and not self._surplus(spec):
            if self.status.state != "ready":
                error = self._not_ready(spec, time.monotonic() - began)
                if error is None:
                    pulse.started()
                    self.show("ready", last_error="")
                else:
                    if error != self.status.last_error:
                        self.show("starting", last_error=error)
                    pause = min(0.5, pause * 1.5)
                    waited = time.monotonic() - began
                    if not spec.liveness.probes and waited > PATIENCE * spec.ready_timeout_seconds:
                        return self._replace(spec, f"not ready: {error}")
            if self.status.state == "ready":
                pause = _LONG
            if signs := self._signs_of_life(spec):
                if not pulse.pause and pulse.lost(error := self._first_failure(spec, signs)):
                    return self._replace(spec, f"no longer answers: {error}")
                pause = min(pause, pulse.pause)
            if self.alarm.sleep(pause, self._pid) is Event.DIED:
                return self._bury()
        return True

    def _signs_of_life(self, spec: ProcessSpec) -> Sequence[Probe]:
        """What has to succeed at the moment for the process to be left alone."""
        if spec.liveness.probes or spec.ready is None:
            return spec.liveness.probes
        return [spec.ready] if self.status.state == "ready" else []

    def _first_failure(self, spec: ProcessSpec, probes_: Sequence[Probe]) -> str | None:
        errors = (self._ask(spec, probe) for probe in probes_)
        return next((error for error in errors if error is not None), None)

    def _not_ready(self, spec: ProcessSpec, age: float) -> str | None:
        if spec.ready is None:
            return None if age >= STEADY_SECONDS else "just started"
        return self._ask(spec, spec.ready)

    def _ask(self, spec: ProcessSpec, probe: Probe) -> str | None:
        timeout = min(3.0, max(0.5, spec.liveness.interval_seconds))
        filled = probe.model_copy(update={"http": probe.http and self.workshop.fill(probe.http)})
        try:
            return probes.ask(
                filled, lambda argv, limit: self.workshop.probe(spec, argv, limit), timeout
            )
        except LocalError as error:
            return str(error)

    def _replace(self, spec: ProcessSpec, reason: str) -> bool:
        """Ends a process that does not do its work, so that another is started."""
        log(f"{self.name}: {reason}; restarting it")
        if spec.liveness.kill:
            self._signal("SIGKILL")
            return self._bury(reason)
        # Who does not answer may not hear either, and is missed until that is found out.
        self.halt(HUNG_SECONDS)
        self.show("backoff", last_error=reason, restarts=self.status.restarts + 1)
        return False

    def _bury(self, reason: str = "") -> bool:
        status = self.workshop.wait(self._child) if self._child else None
        self._sweep()
        self._forget_child()
        reason = reason or explain(status)
        log(f"{self.name}: {reason}")
        self.show(
            "backoff",
            pid=0,
            birth="",
            running="",
            last_error=reason,
            restarts=self.status.restarts + 1,
        )
        return False

    def _fail(self, record: Record, reason: str) -> None:
        if self.halted:
            return
        log(f"{self.name}: {reason}")
        self.show(
            "failed",
            attempt=record.attempt,
            sequence=record.sequence,
            last_error=reason,
        )

    def _await_death(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if self.alarm.sleep(left, self._pid) is Event.DIED:
                return
        log(f"{self.name}: did not stop within {seconds:g} s; killing it")
        self._signal("SIGKILL")

    def _sweep(self, grace: float = 0) -> None:
        procfs.end(self.workshop.folder, session=self._pid, kin=self._kin, grace=grace)
        self._kin = frozenset()

    def _forget_child(self) -> None:
        if self._child:
            self.workshop.wait(self._child)
        self._child, self._pid = None, 0

    def _signal(self, name: str) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.Signals[name])


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
