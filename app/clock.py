"""Time, always in UTC. The game's day is the UTC day."""

from datetime import UTC, date, datetime, time, timedelta


def utcnow() -> datetime:
    return datetime.now(UTC)


def day_of(moment: datetime) -> date:
    """The UTC day of an aware moment."""
    return moment.astimezone(UTC).date()


def start_of(day: date) -> datetime:
    """The first moment of a UTC day."""
    return datetime.combine(day, time(), tzinfo=UTC)


def next_day(moment: datetime) -> datetime:
    """The next UTC midnight, when a new claim is due."""
    return start_of(day_of(moment) + timedelta(days=1))
