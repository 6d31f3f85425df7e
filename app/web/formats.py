"""How templates write times and numbers."""

# ruff: noqa: RUF001 (a dash stands for what was not measured)

from __future__ import annotations

from datetime import datetime
from uuid import UUID


def when(moment: datetime) -> str:
    """A moment in UTC: "23 Nov 2026, 16:54"."""
    return f"{moment.day} {moment:%b %Y, %H:%M}"


def day(moment: datetime) -> str:
    """A date: "23 November 2026"."""
    return f"{moment.day} {moment:%B %Y}"


def number(value: float) -> str:
    """A whole number with thin spaces between thousands: "12 345"."""
    return f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def span(seconds: float) -> str:
    """A length of time in its two largest units: "5 h 12 min", "3 d 4 h", "40 s"."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if days:
        return _two(days, "d", hours % 24, "h")
    if hours:
        return _two(hours, "h", minutes % 60, "min")
    return f"{minutes} min"


def _two(large: int, unit: str, small: int, smaller: str) -> str:
    return f"{large} {unit} {small} {smaller}" if small else f"{large} {unit}"


def ago(moment: datetime, now: datetime) -> str:
    """How long ago: "just now", "5 min ago", "2 d 3 h ago"."""
    seconds = (now - moment).total_seconds()
    return "just now" if seconds < 60 else f"{span(seconds)} ago"


def duration(seconds: float | None) -> str:
    """A measured time: "12 ms", "1.4 s", a dash where nothing was measured."""
    if seconds is None:
        return "–"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 60 else span(seconds)


def percent(part: float | None) -> str:
    return "–" if part is None else f"{part * 100:.0f} %"


def catalogue_number(object_id: UUID) -> str:
    """The last digits of an object's id: what tells two of the same name apart, also to the bot."""
    return str(object_id)[-8:]


def initial(text: str) -> str:
    """The first letter or digit of a name, as a monogram."""
    return next((letter.upper() for letter in text if letter.isalnum()), "&")
