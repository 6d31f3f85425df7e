"""Errors with a meaning for the caller. Anything else that escapes is a bug and is retried."""

from collections.abc import Sequence
from datetime import timedelta


class EtceteraError(Exception):
    """Base of every error this app raises on purpose."""


class SettingsError(EtceteraError):
    """The environment is wrong. Its text names each variable, what is wrong and the fix."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        super().__init__(f"The environment needs {len(self.problems)} fix(es):\n{lines}")


class Unavailable(EtceteraError):  # noqa: N818 (a state, not a mistake)
    """A server this app depends on does not answer."""


class Retry(EtceteraError):  # noqa: N818 (an instruction to the worker)
    """A job cannot be done yet; lease it again after the given time. Not counted as a failure."""

    def __init__(self, after: timedelta, reason: str) -> None:
        self.after = after
        self.reason = reason
        super().__init__(reason)


class Reject(EtceteraError):  # noqa: N818 (an instruction to the worker)
    """A job can never be done; it goes to the dead letters at once."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)
