"""Decides that the folder of a stack is private, whole after every failure, and leaves nothing."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra.local.errors import LocalError
from infra.local.store import Record, Status, Store, write_atomically


def _record(name: str, sequence: int = 1, *, value: str | None = None) -> Record:
    return Record(
        type="local:index:Secret",
        name=name,
        inputs={"root": "/srv/x", "length": 32},
        digest="d",
        sequence=sequence,
        value=value,
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "stack")


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_written_is_read_back_in_the_order_of_creation(store: Store) -> None:
    with store.locked():
        for sequence, name in enumerate(["z", "a", "m"], start=1):
            store.put(_record(name, sequence))
    assert [record.name for record in store.records()] == ["z", "a", "m"]
    assert store.get("a") == _record("a", 2)
    assert store.next_sequence() == 4


def test_nobody_else_can_read_it(store: Store) -> None:
    with store.locked():
        store.put(_record("password", value="hidden"))
    assert _mode(store.root) == _mode(store.desired) == 0o700
    assert _mode(store.desired / "password.json") == 0o600


def test_a_record_does_not_show_its_secret_when_printed() -> None:
    assert "hidden" not in repr(_record("password", value="hidden"))


def test_a_name_with_dots_is_kept_apart_from_its_namesakes(store: Store) -> None:
    with store.locked():
        for name in ("web", "web.1", "web.log"):
            store.folder(name).mkdir()
            store.log(name).touch()
            store.log(name).with_name(f"{name}.log.1").touch()
    store.forget("web")
    assert store.traces() >= {"web.1", "web.log"}
    assert store.log("web.1").exists()
    assert store.log("web.log").exists()
    assert not store.log("web").exists()


def test_a_folder_with_records_is_not_dissolved(store: Store) -> None:
    with store.locked():
        store.put(_record("a"))
        assert not store.dissolve()
    assert store.get("a")


def test_a_dissolved_folder_is_gone_and_can_be_made_again(store: Store) -> None:
    with store.locked():
        store.put(_record("a"))
        store.remove("a")
        assert store.dissolve()
    assert not store.root.exists()
    with store.locked():
        store.put(_record("a"))
    assert store.get("a")


def test_files_of_others_in_the_folder_stay(store: Store) -> None:
    with store.locked():
        (store.root / "notes.txt").write_text("mine")
        assert store.dissolve()
    assert [path.name for path in store.root.iterdir()] == ["notes.txt"]


def test_what_a_killed_writer_left_half_made_is_cleaned_away(store: Store) -> None:
    with store.locked():
        (store.desired / ".a.json.1234.part").write_text("{")
        assert store.records() == []
        store.clean()
    assert list(store.desired.iterdir()) == []


def test_the_lock_lets_one_in_at_a_time_even_while_the_folder_is_dissolved(store: Store) -> None:
    inside: list[int] = []
    most = 0

    def work(number: int) -> None:
        nonlocal most
        for turn in range(20):
            with store.locked():
                inside.append(number)
                most = max(most, len(inside))
                if turn % 3 == 0:
                    store.dissolve()
                inside.remove(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert most == 1


def test_a_full_disk_is_told_and_keeps_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    write_atomically(path, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LocalError, match=r"a\.json: No space left on device"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = Store(tmp_path / "file" / "stack")
    with pytest.raises(LocalError, match="cannot write"), store.locked():
        pass


def test_a_damaged_record_is_told_by_its_path(store: Store) -> None:
    with store.locked():
        (store.desired / "a.json").write_text("{")
    with pytest.raises(LocalError, match=r"desired/a\.json"):
        store.get("a")


def test_a_status_survives_its_writer(store: Store) -> None:
    with store.locked():
        store.put_status("a", Status(state="ready", pid=1, files=["x"]))
    found = store.status("a")
    assert found is not None
    assert (found.state, found.pid, found.files) == ("ready", 1, ["x"])


def test_a_removed_record_is_kept_apart_until_it_is_wanted_again(store: Store) -> None:
    with store.locked():
        store.put(_record("web.json"))
        store.mark_removed("web.json")
        found = store.get("web.json")
        assert found is not None
        assert found.removed
        assert [record.removed for record in store.records()] == [True]
        store.put(_record("web.json"))
        assert [record.removed for record in store.records()] == [False]
        store.mark_removed("web.json")
        store.mark_removed("web.json")
        store.remove("web.json")
        assert store.records() == []
