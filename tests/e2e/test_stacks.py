"""Whole stacks on real parts: from a person's post on Bluesky to the reply and the page.

What single parts do with bad input is decided by tests/integration.
"""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from infra.local import operations
from tests.e2e.conftest import RunningStack
from tests.stacks import changed, pids, up

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

PATIENCE = 180  # seconds; a machine with two busy cores is slow, and nothing here measures speed


def eventually(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


def test_a_mention_is_answered_in_its_thread_and_the_page_shows_the_object(
    stack: RunningStack,
) -> None:
    alice = stack.person("alice")
    mention = alice.post(f"@{stack.bot} claim, please!")
    reply = alice.wait_for_reply(mention.uri, PATIENCE)
    assert reply.author_handle in stack.accounts
    assert len(reply.images) == 1
    (page,) = [link for link in reply.links if link.startswith(stack.url)]
    answer = _get(page)
    assert answer.status_code == 200
    assert alice.handle in answer.text


def test_a_second_claim_on_the_same_day_gives_nothing_new(stack: RunningStack) -> None:
    bob = stack.person("bob")
    first = bob.wait_for_reply(bob.post(f"@{stack.bot} claim").uri, PATIENCE)
    second = bob.wait_for_reply(bob.post(f"@{stack.bot} CLAIM").uri, PATIENCE)
    assert first.links == second.links
    collection = _get(f"{stack.url}/api/v1/users/{bob.did}/objects").json()
    assert len(collection["items"]) == 1


def test_a_gift_changes_its_owner_when_it_is_accepted(stack: RunningStack) -> None:
    giver, taker = stack.person("giver"), stack.person("taker")
    claimed = giver.wait_for_reply(giver.post(f"@{stack.bot} claim").uri, PATIENCE)
    (page,) = claimed.links
    object_id = page.rsplit("/", 1)[-1]
    name = _get(f"{stack.url}/api/v1/objects/{object_id}").json()["name"]

    offered = giver.wait_for_reply(
        giver.post(f"@{stack.bot} gift {name} to @{taker.handle}").uri, PATIENCE
    )
    accepted = taker.wait_for_reply(taker.reply(offered, "accept").uri, PATIENCE)

    assert accepted.author_handle in stack.accounts

    def owner() -> str:
        return str(_get(f"{stack.url}/api/v1/objects/{object_id}").json()["owner"]["did"])

    eventually(lambda: owner() == taker.did, "the taker is shown as its owner")


def test_a_second_up_changes_nothing(stack: RunningStack) -> None:
    before = pids(stack.root)
    _, done = up(stack.root, stack.port_base, phase=str(stack.phase))
    assert changed(done) == []
    after = pids(stack.root)
    assert after.keys() == before.keys()
    # Workers come and go with the work.
    same = {name for name in before if not name.startswith("worker-")}
    same |= {name for name in before if before[name] and after[name]}
    assert {name: after[name] for name in same} == {name: before[name] for name in same}


def test_servers_that_are_killed_come_back_with_their_data(stack: RunningStack) -> None:
    carol = stack.person("carol")
    reply = carol.wait_for_reply(carol.post(f"@{stack.bot} claim").uri, PATIENCE)
    before = {name: pid for name, pid in pids(stack.root).items() if pid}  # not the parked
    for pid in before.values():
        with suppress(ProcessLookupError):  # a worker that is being parked ends by itself
            os.kill(pid, signal.SIGKILL)

    def all_back() -> bool:
        now = pids(stack.root)
        return all(
            now[name] not in (0, pid) or (name.startswith("worker-") and _parked(stack, name))
            for name, pid in before.items()
        )

    eventually(all_back, "every process is ready again")
    eventually(lambda: _status(f"{stack.url}/readyz") == 200, "the site is ready again")
    (page,) = reply.links
    eventually(lambda: _status(page) == 200, "the page is there again")
    assert carol.handle in _get(page).text
    again = carol.wait_for_reply(carol.post(f"@{stack.bot} inventory").uri, PATIENCE)
    assert again.author_handle in stack.accounts


def test_nothing_listens_beyond_loopback(stack: RunningStack) -> None:
    ours = [process for process in psutil.process_iter() if _works_in(process, stack.root)]
    assert ours
    for process in ours:
        for connection in process.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                assert connection.laddr.ip in ("127.0.0.1", "::1"), process.cmdline()


def test_no_secret_is_in_an_argument_a_log_or_a_file_that_others_can_read(
    stack: RunningStack,
) -> None:
    secrets = _secrets(stack)
    assert len(secrets) >= 5
    for process in psutil.process_iter():
        if _works_in(process, stack.root):
            assert not any(secret in " ".join(process.cmdline()) for secret in secrets)
    for log in (stack.root / "logs").iterdir():
        text = log.read_text(errors="replace")
        assert not any(secret in text for secret in secrets), log.name
    assert stack.root.stat().st_mode & 0o077 == 0


def _secrets(stack: RunningStack) -> list[str]:
    return [
        str((operations.read(entry.type, entry.name, stack.root) or {})["value"])
        for entry in operations.entries(stack.root)
        if entry.type == "local:index:Secret"
    ]


def _works_in(process: psutil.Process, root: Path) -> bool:
    try:
        return Path(process.cwd()).is_relative_to(root)
    except (psutil.Error, OSError):
        return False


def _parked(stack: RunningStack, name: str) -> bool:
    found = operations.read("local:index:Process", name, stack.root) or {}
    return bool(found.get("state") == "parked")


def _get(url: str) -> httpx.Response:
    return httpx.get(url, timeout=60)


def _status(url: str) -> int:
    try:
        return httpx.get(url, timeout=15).status_code
    except httpx.HTTPError:
        return 0
