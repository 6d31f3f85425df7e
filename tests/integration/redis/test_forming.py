"""Decides that a cluster is formed of whatever there is: new nodes, restarted ones, replaced ones.

Real nodes, formed by the program that the Redis component runs.
"""

from __future__ import annotations

import signal

import pytest

from components.redis import layout
from components.redis.form import FormError, form
from tests.servers import ValkeyCluster

pytestmark = pytest.mark.integration

KEY = "some key"


def nodes(cluster: ValkeyCluster) -> list[layout.Node]:
    found = []
    for port, bus in cluster.ports.items():
        with cluster.node(port) as client:
            table = str(client.execute_command("CLUSTER", "NODES"))
        found.append(layout.parse(port, bus, table))
    return found


def assert_whole(cluster: ValkeyCluster) -> None:
    """Three shards cover all slots, each with a replica that follows its primary."""
    found = nodes(cluster)
    assert layout.settled(found)
    primaries = [node for node in found if node.me.primary is None]
    assert sum(len(node.me.slots) for node in primaries) == layout.SLOTS
    assert {node.me.primary for node in found} - {None} == {node.id for node in primaries}
    assert len(primaries) == 3
    for node in found:
        with cluster.node(node.port) as client:
            assert client.info("replication").get("master_link_status", "up") == "up"


def test_new_nodes_become_three_shards_of_the_same_size(cluster: ValkeyCluster) -> None:
    assert_whole(cluster)
    sizes = [len(node.me.slots) for node in nodes(cluster) if node.me.slots]
    assert max(sizes) - min(sizes) <= 1


def test_a_whole_cluster_is_left_as_it_is(cluster: ValkeyCluster) -> None:
    before = nodes(cluster)
    assert cluster.form() == 0
    assert nodes(cluster) == before


def test_after_a_failover_who_took_over_stays_the_primary(cluster: ValkeyCluster) -> None:
    primary, replica = cluster.shard(KEY)
    cluster.signal(signal.SIGKILL, primary)
    with cluster.node(replica) as client:
        client.execute_command("CLUSTER", "FAILOVER", "TAKEOVER")  # rather than wait for it
    cluster.start(primary)
    assert cluster.form() == 0
    assert cluster.shard(KEY) == [replica, primary]
    assert_whole(cluster)


def test_when_all_were_killed_they_find_each_other_by_themselves(cluster: ValkeyCluster) -> None:
    cluster.signal(signal.SIGKILL)
    cluster.start()
    assert cluster.form() == 0
    assert_whole(cluster)


@pytest.mark.parametrize("which", ["primary", "replica", "both", "four of six"])
def test_replaced_nodes_are_taken_in(cluster: ValkeyCluster, which: str) -> None:
    primary, replica = cluster.shard(KEY)
    with cluster.node(primary) as client:
        client.set(KEY, "kept")
        client.wait(1, 4000)
    replaced = {
        "primary": [primary],
        "replica": [replica],
        "both": [primary, replica],
        "four of six": list(cluster.ports)[:4],
    }[which]
    cluster.signal(signal.SIGKILL, *replaced)
    for port in replaced:
        cluster.forget(port)
    cluster.start(*replaced)
    assert cluster.form() > 0
    assert_whole(cluster)
    assert cluster.form() == 0
    if which in ("primary", "replica"):
        with cluster.node(cluster.shard(KEY)[0]) as client:
            assert client.get(KEY) == "kept"


def test_a_node_that_does_not_answer_is_named_in_time(cluster: ValkeyCluster) -> None:
    port = next(iter(cluster.ports))
    cluster.signal(signal.SIGKILL, port)
    with pytest.raises(FormError, match=str(port)):
        form(list(cluster.ports.items()), 3, cluster.password, seconds=0.3)
