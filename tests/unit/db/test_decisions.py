"""Decides: only the website reads from replicas. Who owns what, which job is whose and what was
answered already is decided in transactions and on fresh reads, which the primary answers; that it
does is decided by tests/integration/routing."""

import ast
from collections.abc import Iterator
from pathlib import Path

import app

ROOT = Path(app.__file__).parent
READERS = {"web", "db"}


def calls(source: str, *methods: str) -> Iterator[ast.Call]:
    """Calls of a database's methods, whatever the variable that holds it is called."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            held = ast.unparse(node.func.value)
            if node.func.attr in methods and held.lower().endswith(("database", "db")):
                yield node


def asks_for_the_primary(call: ast.Call) -> bool:
    return any(word.arg == "fresh" and ast.unparse(word.value) == "True" for word in call.keywords)


def test_whatever_decides_reads_from_the_primary() -> None:
    decided = 0
    for path in sorted(ROOT.rglob("*.py")):
        if path.relative_to(ROOT).parts[0] in READERS:
            continue
        for call in calls(path.read_text(), "read", "query"):
            assert asks_for_the_primary(call), f"{path}:{call.lineno} may be answered by a replica"
            decided += 1
    assert decided > 10, "the search finds nothing any more"


def test_the_domain_knows_transactions_only() -> None:
    for path in (ROOT / "domain").rglob("*.py"):
        assert "Database" not in path.read_text(), f"{path} could read elsewhere than it writes"


def test_a_read_that_may_be_late_would_be_found() -> None:
    (late,) = calls("with self._database.read(timeout=2) as conn: pass", "read")
    assert not asks_for_the_primary(late)
