"""Decides that calls to a cluster are bounded whatever its nodes do, and follow a failover."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable

import pytest

from app.redis import ERRORS, answers, connect, connect_to
from tests.integration.jobs.kit import eventually
from tests.servers import ValkeyCluster

pytestmark = pytest.mark.integration

KEY = "some key"
NODES = 6
# Of a machine that may be busy. They are to each other as those of the platform.
TIMEOUT = 1.0
SILENCE_SECONDS = 7.0


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.redis.SILENCE_SECONDS", SILENCE_SECONDS)
    monkeypatch.setattr("app.redis.LAYOUT_SECONDS", TIMEOUT)


def succeeds(call: Callable[[], object]) -> bool:
    try:
        call()
    except ERRORS:
        return False
    return True


def test_any_start_node_will_do(cluster: ValkeyCluster) -> None:
    first = next(iter(cluster.ports))
    cluster.signal(signal.SIGKILL, first)
    client = connect(cluster.url(), timeout=TIMEOUT)
    eventually(lambda: succeeds(lambda: client.set(KEY, "x")))


def test_a_client_follows_when_a_replica_takes_over(cluster: ValkeyCluster) -> None:
    client = connect(cluster.url(), timeout=TIMEOUT)
    client.set(KEY, "before")
    primary, replica = cluster.shard(KEY)
    cluster.signal(signal.SIGKILL, primary)
    eventually(lambda: succeeds(lambda: client.set(KEY, "after")))
    assert cluster.shard(KEY) == [replica]
    eventually(lambda: succeeds(lambda: answers(client)))
    assert connect_to(KEY, cluster.url(), timeout=TIMEOUT).get(KEY) == "after"


def test_a_shard_that_hangs_is_waited_for_once(cluster: ValkeyCluster) -> None:
    client = connect(cluster.url(), timeout=TIMEOUT)
    client.set(KEY, "x")
    cluster.signal(signal.SIGSTOP, *cluster.shard(KEY))
    assert not succeeds(lambda: client.get(KEY))
    began = time.monotonic()
    for _ in range(10):
        assert not succeeds(lambda: client.get(KEY))
    assert time.monotonic() - began < 10 * TIMEOUT  # which waiting alone would take


def test_other_shards_serve_while_one_hangs(cluster: ValkeyCluster) -> None:
    client = connect(cluster.url(), timeout=TIMEOUT)
    hung = cluster.shard(KEY)
    other = next(key for key in map(str, range(100)) if cluster.shard(key) != hung)
    cluster.signal(signal.SIGSTOP, *hung)
    assert not succeeds(lambda: answers(client))
    assert not succeeds(lambda: client.get(KEY))
    assert client.set(other, "x")


def test_when_all_hang_threads_do_not_wait_for_each_other(cluster: ValkeyCluster) -> None:
    client = connect(cluster.url(), timeout=TIMEOUT)
    cluster.signal(signal.SIGSTOP)
    threads = [
        threading.Thread(target=succeeds, args=(lambda: client.get(KEY),)) for _ in range(16)
    ]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Each node is found out once; one after another they would take 16 times as long.
    assert time.monotonic() - began < 3 * NODES * TIMEOUT
    cluster.signal(signal.SIGCONT)
    eventually(lambda: succeeds(lambda: client.set(KEY, "x")))
