"""The recordings of this folder: a folder per released version, in it a file per stack."""

from pathlib import Path

from infra.engine.comparison import Snapshot

FOLDER = Path(__file__).parent


def recordings() -> list[tuple[str, str]]:
    """Versions and stacks."""
    return sorted((path.parent.name, path.stem) for path in FOLDER.glob("*/*.json"))


def released(version: str, stack: str) -> Snapshot:
    return Snapshot.parse((FOLDER / version / f"{stack}.json").read_text())
