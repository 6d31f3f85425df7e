"""Decides which processes the monitor finds behind names that stand for several, and what it makes
of names that nobody answers for. That it scrapes them is decided by tests/integration/monitor."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from app.monitor import discovery
from app.monitor.discovery import Discovery, addresses

WORKERS = {"worker": "http+dns://worker.etcetera.svc:9100/metrics"}


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as made:
        yield made


def answers(*rounds: list[str] | Exception) -> Callable[[str], list[str]]:
    left = iter(rounds)

    def resolve(host: str) -> list[str]:
        assert host == "worker.etcetera.svc"
        found = next(left)
        if isinstance(found, Exception):
            raise found
        return found

    return resolve


def test_each_address_of_a_name_is_a_process_of_its_own(threads: ThreadPoolExecutor) -> None:
    found = Discovery(WORKERS, threads, answers(["10.42.0.7", "fd00::7"])).find()
    assert found == {
        "worker-10.42.0.7": "http://10.42.0.7:9100/metrics",
        "worker-fd00::7": "http://[fd00::7]:9100/metrics",
    }


def test_other_targets_are_what_they_say(threads: ThreadPoolExecutor) -> None:
    targets = {"web": "http://127.0.0.1:8201/metrics"}
    assert Discovery(targets, threads, answers()).find() == targets


def test_processes_come_and_go_with_their_addresses(threads: ThreadPoolExecutor) -> None:
    made = Discovery(WORKERS, threads, answers(["10.0.0.1"], ["10.0.0.2"], []))
    assert [list(made.find()) for _ in range(3)] == [["worker-10.0.0.1"], ["worker-10.0.0.2"], []]


@pytest.mark.parametrize(
    "error", [socket.gaierror(socket.EAI_AGAIN, "try again"), TimeoutError("no answer")]
)
def test_while_nobody_answers_for_names_the_last_known_are_watched(
    threads: ThreadPoolExecutor, error: OSError
) -> None:
    made = Discovery(WORKERS, threads, answers(["10.0.0.1"], error, ["10.0.0.2"]))
    assert [list(made.find()) for _ in range(3)] == [
        ["worker-10.0.0.1"],
        ["worker-10.0.0.1"],
        ["worker-10.0.0.2"],
    ]


def test_a_question_that_hangs_holds_nothing_up_and_is_asked_once(
    threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "SECONDS", 0.05)
    asked: list[str] = []
    answer = Event()

    def hangs(host: str) -> list[str]:
        asked.append(host)
        assert answer.wait(30)
        return ["10.0.0.1"]

    made = Discovery({**WORKERS, "web": "http://127.0.0.1:1/metrics"}, threads, hangs)
    assert [list(made.find()) for _ in range(3)] == [["web"]] * 3
    assert len(asked) == 1
    answer.set()
    monkeypatch.setattr(discovery, "SECONDS", 30)
    assert "worker-10.0.0.1" in made.find()


def test_a_name_that_is_not_there_has_no_addresses_and_silence_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(number: int) -> Callable[..., object]:
        def getaddrinfo(*_: object, **__: object) -> object:
            raise socket.gaierror(number, "")

        return getaddrinfo

    monkeypatch.setattr(socket, "getaddrinfo", fails(socket.EAI_NONAME))
    assert addresses("worker.etcetera.svc") == []
    monkeypatch.setattr(socket, "getaddrinfo", fails(socket.EAI_AGAIN))
    with pytest.raises(socket.gaierror):
        addresses("worker.etcetera.svc")
