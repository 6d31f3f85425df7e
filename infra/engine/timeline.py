"""When each resource of a deployment began and was ready, what it waited for, the longest chain.

Every resource is begun as soon as what it depends on is ready. So the time a deployment takes is
that of its critical path, the chain of resources that waited for each other, and what the engine
itself adds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from rich.console import Console
from rich.table import Table

BAR = 32
SHORT_SECONDS = 0.05
"""Below, a resource has no line of its own: secrets, and what was there already."""


@dataclass(frozen=True)
class Span:
    """A resource's way to being ready; times are seconds since the deployment began.

    `after` is the dependency that was ready last, whose end let this one begin.
    """

    name: str
    verb: str
    begin: float
    end: float
    after: str | None = None

    @property
    def seconds(self) -> float:
        return self.end - self.begin


@dataclass(frozen=True)
class Timeline:
    """The spans in the order they were begun; `total` is all the deployment took."""

    total: float
    spans: tuple[Span, ...]

    @classmethod
    def of(
        cls, total: float, taken: Sequence[Span], dependencies: Mapping[str, Sequence[str]]
    ) -> "Timeline":
        """`dependencies` are names by name; those without a span are left out."""
        ends = {span.name: span.end for span in taken}
        spans = [
            replace(
                span,
                after=max(
                    (name for name in dependencies.get(span.name, ()) if name in ends),
                    key=ends.__getitem__,
                    default=None,
                ),
            )
            for span in taken
        ]
        return cls(total, tuple(sorted(spans, key=lambda span: (span.begin, span.end))))

    @property
    def critical_path(self) -> list[Span]:
        """The chain that ends with the resource that was ready last, from its beginning."""
        by_name = {span.name: span for span in self.spans}
        path: list[Span] = []
        current = max(self.spans, key=lambda span: span.end, default=None)
        while current is not None:
            path.insert(0, current)
            current = by_name[current.after] if current.after else None
        return path

    @property
    def critical_seconds(self) -> float:
        return sum(span.seconds for span in self.critical_path)

    def as_dict(self) -> dict[str, Any]:
        return {
            "total": self.total,
            "criticalPath": [span.name for span in self.critical_path],
            "criticalSeconds": self.critical_seconds,
            "resources": [asdict(span) for span in self.spans],
        }

    def show(self, console: Console) -> None:
        path = self.critical_path
        shown = [span for span in self.spans if span.seconds >= SHORT_SECONDS]
        table = Table("", "begun", "took", "ready", f"0 to {self.total:.1f} s", "waited for")
        for column in table.columns[1:4]:
            column.justify = "right"
        table.box = None
        for span in shown:
            style = "bold" if span in path else ""
            table.add_row(
                span.name,
                *(f"{seconds:.2f}" for seconds in (span.begin, span.seconds, span.end)),
                self._bar(span),
                span.after or "",
                style=style,
            )
        console.print(table)
        rest = len(self.spans) - len(shown)
        if rest:
            console.print(f"{rest} more took less than {SHORT_SECONDS:g} s each")
        chain = " → ".join(f"{s.name} {s.seconds:.1f}" for s in path if s in shown)
        console.print(
            f"[bold]Critical path:[/] {self.critical_seconds:.1f} s of {self.total:.1f} s"
            f"{': ' + chain if chain else ''}; "
            f"{self.total - self.critical_seconds:.1f} s more than it had to take"
        )

    def _bar(self, span: Span) -> str:
        scale = BAR / max(self.total, 1e-9)
        first = min(BAR - 1, int(span.begin * scale))
        length = max(1, min(BAR - first, round(span.seconds * scale)))
        return " " * first + "█" * length
