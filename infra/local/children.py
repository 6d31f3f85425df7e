"""The supervisor's own children, and those it inherits because it is a subreaper."""

import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from infra.local import procfs
from infra.local.errors import LocalError

_PR_SET_CHILD_SUBREAPER = 36


class Children:
    """Starts processes and knows which of the dead are its own to wait for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._own: set[int] = set()

    def become_subreaper(self) -> None:
        """From now on orphans of our processes become our children instead of init's."""
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise LocalError(f"cannot adopt orphans: {os.strerror(ctypes.get_errno())}")

    def spawn(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path
    ) -> "subprocess.Popen[bytes]":
        """Starts the command in a session of its own. Raises `LocalError`."""
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            with self._lock:
                child = subprocess.Popen(
                    command,
                    cwd=folder,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    umask=0o077,
                )
                self._own.add(child.pid)
                return child
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise LocalError(f"cannot run {command[0]}: {reason}") from error
        finally:
            os.close(output)

    def wait(self, child: "subprocess.Popen[bytes]") -> int:
        """The exit status of a child that has ended or is about to."""
        status = child.wait()
        with self._lock:
            self._own.discard(child.pid)
        return status

    def end_orphans(self) -> None:
        """Kills the inherited. Only when nothing of ours runs: then they belong to nobody."""
        left = True
        while left:
            self.reap_orphans()
            left = False
            for seen in procfs.descendants([os.getpid()], procfs.everybody()):
                if not seen.zombie:
                    left = True
                    with suppress(ProcessLookupError):
                        os.kill(seen.pid, signal.SIGKILL)
            time.sleep(0.01 if left else 0)

    def reap_orphans(self) -> None:
        """Takes the inherited dead out of the process table.

        Stops at one that is our own, which somebody is about to wait for.
        """
        with self._lock, suppress(ChildProcessError):
            while dead := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if dead.si_pid in self._own:
                    return
                os.waitpid(dead.si_pid, os.WNOHANG)
