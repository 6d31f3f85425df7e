"""Taking down in the reverse order of building up, and at once what does not need each other."""

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from infra.local.store import Record

_PARALLEL = 64


def older(records: Sequence[Record]) -> dict[str, frozenset[str]]:
    """What each resource may need, by name: no more than what was there when it was made."""
    sequences = {record.name: record.sequence for record in records}
    found = {}
    for record in records:
        # A name in `after` may since have gone to something younger.
        older = {name for name, place in sequences.items() if place < record.sequence}
        found[record.name] = frozenset(
            older if record.after is None else older.intersection(record.after)
        )
    return found


def last_first(needs: Mapping[str, Collection[str]], act: Callable[[str], None]) -> None:
    """Calls `act` with each name, in threads, once it has returned for all that may need it.

    When one raises, so does this, as soon as those under way have ended; no other is begun.
    """
    left = set(needs)
    under_way: dict[Future[None], str] = {}
    with ThreadPoolExecutor(_PARALLEL) as threads:
        while left or under_way:
            needed = {name for user in left.union(under_way.values()) for name in needs[user]}
            for name in left - needed:
                left.remove(name)
                under_way[threads.submit(act, name)] = name
            for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                del under_way[future]
                future.result()
