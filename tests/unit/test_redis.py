"""Decides how the URL of a Redis or of a cluster is read. Connections: tests/integration/redis."""

from __future__ import annotations

import redis

from app.redis import addresses, cluster_options, is_cluster

CLUSTER = "redis://user:p%40ss@one:6379,two:6380/0?cluster=true&client_name=x"


def test_each_server_that_a_url_names_has_a_url_of_its_own() -> None:
    assert addresses("rediss://:pw@cache:6380/0") == ["rediss://:pw@cache:6380/0"]
    assert addresses(CLUSTER) == [
        "redis://user:p%40ss@one:6379/0?client_name=x",
        "redis://user:p%40ss@two:6380/0?client_name=x",
    ]


def test_only_who_says_so_is_a_cluster() -> None:
    assert is_cluster(CLUSTER)
    assert is_cluster("rediss://endpoint/0?cluster=True")
    assert not is_cluster("redis://one:6379/0")
    assert not is_cluster("redis://one:6379/0?cluster=false")


def test_a_cluster_is_reached_through_any_of_the_nodes_named() -> None:
    options = cluster_options(CLUSTER, timeout=0.5)
    assert options["url"].startswith("redis://user:p%40ss@one:6379/")
    assert [node.name for node in options["startup_nodes"]] == ["two:6380"]
    assert options["socket_timeout"] == options["socket_connect_timeout"] == 0.5


def test_tls_is_kept_for_all_nodes() -> None:
    options = cluster_options("rediss://one:1,two:2/0?cluster=true", timeout=0.5)
    assert issubclass(options["connection_class"], redis.SSLConnection)
