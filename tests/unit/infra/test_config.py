"""A stack's configuration is accepted whole or refused whole, in words that name key and fix.

What the machine allows (ports, disk) is decided by test_preflight.
"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.config import ConfigError, StackConfig


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
