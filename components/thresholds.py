"""What alarms watch, as data: costs count it, and backends make alarms of it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Threshold:
    """When a metric, `above` or `below` a limit, means that something is wrong.

    `name` is that of the alarm after its server's; `why` says what is wrong then and what to do. It
    holds for `periods` times `minutes` before anybody hears of it.
    """

    name: str
    metric: str
    why: str
    above: float | None = None
    below: float | None = None
    statistic: str = "Average"
    minutes: int = 5
    periods: int = 3
