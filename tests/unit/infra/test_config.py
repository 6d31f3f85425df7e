"""A stack's configuration is accepted whole or refused whole, in words that name key and fix.

What the machine allows (ports, disk) is decided by test_preflight.
"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.aws_sizes import AWS_SIZES
from infra.config import ConfigError, StackConfig
from infra.config.sizing import aws_size
from infra.cost.book import Purchase


def parse(**values: str) -> StackConfig:
    return StackConfig.parse(
        {f"etcetera:{key}": value for key, value in values.items()}, stack="test"
    )


ACCOUNT = {
    "phase": "2",
    "blueskyUrl": "https://pds.example",
    "blueskyHandle": "bot.test",
    "blueskyPassword": "hunter2",
}


def couriers(*handles: str) -> str:
    return json.dumps([{"handle": handle, "password": "hunter2"} for handle in handles])


def test_accounts_that_share_the_replies_may_be_named() -> None:
    config = parse(**ACCOUNT, blueskyCouriers=couriers("one.test", "two.test"))
    assert config.courier_handles == ["one.test", "two.test"]


def test_a_phase_is_all_a_stack_has_to_say() -> None:
    config = parse(phase="1")
    assert (config.phase, config.target, config.port_base) == (1, "local", None)


def test_keys_of_other_namespaces_are_not_ours_to_judge() -> None:
    config = StackConfig.parse({"etcetera:phase": "0", "aws:region": "eu-west-1"}, stack="test")
    assert config.phase == 0


@pytest.mark.parametrize(
    ("values", "key", "words"),
    [
        ({}, "etcetera:phase", "is required"),
        ({"phase": "7"}, "etcetera:phase", "there is no phase 7"),
        ({"phase": "one"}, "etcetera:phase", "integer"),
        ({"phase": "1", "flavour": "mint"}, "etcetera:flavour", "unknown key"),
        ({"phase": "1", "target": "moon"}, "etcetera:target", "local"),
        ({"phase": "1", "portBase": "80"}, "etcetera:portBase", "privileged"),
        ({"phase": "1", "portBase": "65500"}, "etcetera:portBase", "65000"),
        ({"phase": "1", "dataDir": "here"}, "etcetera:dataDir", "absolute"),
        ({"phase": "1", "workers": "0"}, "etcetera:workers", "greater than or equal to 1"),
        ({"phase": "1", "redisUrl": "http://x"}, "etcetera:redisUrl", "rediss://"),
        ({"phase": "1", "databaseUrl": "mysql://x/y"}, "etcetera:databaseUrl", "postgresql://"),
        ({"phase": "0", "redisUrl": "redis://x"}, "etcetera:redisUrl", "phase 0 has no Redis"),
        ({"phase": "1", "blueskyUrl": "https://x.example"}, "etcetera:blueskyUrl", "together"),
        ({"phase": "1", "blueskyHandle": "@bot"}, "etcetera:blueskyHandle", "without @"),
        ({"phase": "2", "blueskyCouriers": "[]"}, "etcetera:blueskyCouriers", "own account"),
        (ACCOUNT | {"blueskyCouriers": "one, two"}, "etcetera:blueskyCouriers", "JSON list"),
        (ACCOUNT | {"blueskyCouriers": couriers("@c.test")}, "blueskyCouriers", "JSON list"),
        (ACCOUNT | {"blueskyCouriers": couriers("c.test", "c.test")}, "Couriers", "twice"),
        (ACCOUNT | {"blueskyCouriers": couriers("bot.test")}, "Couriers", "is no courier"),
    ],
)
def test_a_wrong_value_is_refused_with_its_key_the_reason_and_a_fix(
    values: dict[str, str], key: str, words: str
) -> None:
    with pytest.raises(ConfigError) as error:
        parse(**values)
    message = str(error.value)
    assert key in message
    assert words in message
    assert "fix:" in message


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        parse(phase="9", workers="99", flavour="mint")
    for key in ("phase", "workers", "flavour"):
        assert f"etcetera:{key}" in str(error.value)


def test_a_refusal_never_repeats_a_secret() -> None:
    with pytest.raises(ConfigError) as error:
        parse(phase="1", redisUrl="http://:hunter2@x", databaseUrl="ftp://u:hunter2@x")
    assert "hunter2" not in str(error.value)
    for handle in ("hunter2", "bot.test"):
        with pytest.raises(ConfigError) as error:
            parse(**ACCOUNT, blueskyCouriers=couriers(handle))
        assert "hunter2" not in str(error.value)


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=50), max_size=5))
def test_a_stack_file_without_a_phase_is_explained_whatever_else_it_says(
    values: dict[str, str],
) -> None:
    values.pop("phase", None)
    with pytest.raises(ConfigError, match="nothing was changed"):
        parse(**values)


AWS = {
    "target": "aws",
    "phase": "2",
    "accountId": "123456789012",
    "domain": "etcetera.example",
    "alertEmail": "ops@etcetera.example",
    "operatorCidrs": '["203.0.113.7/32"]',
    "image": "registry.example/etcetera@sha256:" + 64 * "a",
    "blueskyUrl": "https://bsky.social",
    "blueskyHandle": "bot.etcetera.example",
    "blueskyPassword": "hunter2",
}


def test_a_stack_on_aws_takes_the_sizes_of_its_phase() -> None:
    assert aws_size(parse(**AWS)) == AWS_SIZES[2]


def test_a_stack_on_aws_may_choose_other_sizes() -> None:
    size = aws_size(
        parse(
            **AWS,
            kubernetes="eks",
            nodeType="t4g.large",
            databaseClass="db.t4g.large",
            databaseReplicas="1",
            databaseStorage="600",
            redisNodeType="cache.t4g.small",
            vpcCidr="10.9.0.0/16",
            zones="3",
            commitments="none",
        )
    )
    assert size.redis is not None
    assert size.cluster.agents is not None
    assert (size.cluster.distribution, size.cluster.agents.type) == ("eks", "t4g.large")
    assert (size.postgres.instance_class, size.postgres.replicas) == ("db.t4g.large", 1)
    assert size.postgres.storage_gb <= size.postgres.most_storage_gb
    assert (size.redis.node_type, size.network.cidr) == ("cache.t4g.small", "10.9.0.0/16")
    assert size.postgres.purchase is Purchase.ON_DEMAND
    assert size.cluster.spot is not None
    assert size.cluster.spot.purchase is Purchase.SPOT


@pytest.mark.parametrize(
    ("values", "key", "words"),
    [
        ({"databaseClass": "db.t5g.huge"}, "databaseClass", "unknown or has no price"),
        ({"nodeType": "m99.large"}, "nodeType", "known are"),
        ({"redisNodeType": "cache.x"}, "redisNodeType", "known are"),
        ({"region": "mx-central-1"}, "region", "not known to have every service"),
        ({"vpcCidr": "10.42.0.0/16"}, "vpcCidr", "overlaps 10.42.0.0/16"),
        ({"vpcCidr": "10.0.0.0/8"}, "vpcCidr", "between /16 and /20"),
        ({"vpcCidr": "8.8.0.0/16"}, "vpcCidr", "not private"),
        ({"vpcCidr": "10.20.0.1/16"}, "vpcCidr", "host bits set"),
        ({"vpcCidr": "10.9.0.0/16", "operatorCidrs": "10.9.1.0/24"}, "operatorCidrs", "overlaps"),
        ({"operatorCidrs": "0.0.0.0/0"}, "operatorCidrs", "more than a company"),
        ({"operatorCidrs": ""}, "operatorCidrs", "no network"),
        ({"phase": "1", "databaseReplicas": "2"}, "databaseReplicas", "phase 1 has no replicas"),
        ({"phase": "1", "replicaClass": "db.t4g.small"}, "replicaClass", "has no replicas"),
        ({"databaseReplicas": "0"}, "databaseReplicas", "use 1 or more"),
        ({"phase": "1", "kubernetes": "eks"}, "kubernetes", "73 dollars"),
        ({"phase": "0", "redisNodeType": "cache.t4g.small"}, "redisNodeType", "no Redis"),
        ({"phase": "0", "workerType": "t4g.small"}, "workerType", "no machines of their own"),
        (
            {"postgresHosting": "kubernetes", "multiAz": "true"},
            "multiAz",
            "is for postgresHosting rds",
        ),
        ({"databaseUrl": "postgresql://x/y", "backupDays": "9"}, "backupDays", "databaseUrl"),
        ({"backupDays": "1"}, "backupDays", "greater than or equal to 7"),
        ({"accountId": "12"}, "accountId", "12 digits"),
        ({"image": "registry.example/etcetera:latest"}, "image", "version or a digest"),
        ({"image": "registry.example/etcetera@sha256:12"}, "image", "64 hexadecimal"),
        ({"portBase": "9000"}, "portBase", "is for target local"),
        ({"target": "local"}, "accountId", "is for target aws"),
    ],
)
def test_a_wrong_value_for_aws_is_refused_with_its_key_the_reason_and_a_fix(
    values: dict[str, str], key: str, words: str
) -> None:
    with pytest.raises(ConfigError) as error:
        parse(**AWS | values)
    message = str(error.value)
    assert f"etcetera:{key}: " in message
    assert words in message
    assert "fix:" in message


def test_everything_that_aws_needs_is_asked_for_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        parse(target="aws", phase="1")
    for key in ("accountId", "domain", "alertEmail", "operatorCidrs", "image", "blueskyUrl"):
        assert f"etcetera:{key}: is required on aws" in str(error.value)
