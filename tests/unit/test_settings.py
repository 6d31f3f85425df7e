"""Decides: which environments are accepted, and that a refusal names every wrong variable with its
fix and never a secret."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import SettingsError
from app.settings import Settings

GOOD = {
    "PHASE": "1",
    "DATABASE_URL": "postgresql://user:hunter2@127.0.0.1:5432/etcetera",
    "REDIS_URL": "redis://:hunter2@127.0.0.1:6379/0",
    "PUBLIC_URL": "https://etcetera.exchange/",
    "SECRET_KEY": "hunter2" * 8,
}


def refusal(**changes: str) -> str:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(GOOD | changes)
    return str(caught.value)


def test_a_good_environment_is_read_with_defaults_for_the_rest() -> None:
    settings = Settings.from_env(GOOD | {"UNRELATED": "x", "PORT": "8080", "LOG_LEVEL": "WARNING"})
    assert (settings.phase, settings.port, settings.log_level) == (1, 8080, "warning")
    assert settings.public_url == "https://etcetera.exchange"
    assert settings.bluesky_ingest == "notifications"
    assert settings.replica_urls == ()


def test_an_empty_variable_counts_as_absent() -> None:
    settings = Settings.from_env(GOOD | {"REDIS_URL": "", "PORT": " ", "WEB_WORKERS": ""})
    assert (settings.redis_url, settings.port, settings.web_workers) == (None, None, 2)


def test_everything_wrong_is_named_at_once_with_its_fix() -> None:
    text = refusal(
        PHASE="7", DATABASE_URL="mysql://x/y", SECRET_KEY="short", PORT="0", PUBLIC_URL=""
    )
    for name in ("PHASE", "DATABASE_URL", "SECRET_KEY", "PORT", "PUBLIC_URL is missing"):
        assert name in text
    assert "5 fix(es)" in text
    assert "set a phase from 0 to 3" in text
    assert "openssl rand -hex 32" in text


def test_an_operators_password_that_is_soon_guessed_is_refused() -> None:
    text = refusal(OPERATOR_PASSWORD="hunter2hunter2")
    assert "OPERATOR_PASSWORD" in text
    assert "at least 16" in text
    assert "hunter2" not in text
    assert Settings.from_env(GOOD).operator_password is None
    assert Settings.from_env(GOOD | {"OPERATOR_PASSWORD": "hunter2" * 3}).operator_password


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PHASE", "one"),
        ("PHASE", "-1"),
        ("DATABASE_URL", "etcetera"),
        ("DATABASE_URL", "postgresql://user:hunter2@host:port/etcetera"),
        ("REDIS_URL", "http://127.0.0.1"),
        ("REDIS_URL", "redis://:hunter2@a:1,b:2/0"),
        ("REDIS_URL", "redis://:hunter2@a:1,b:x/0?cluster=true"),
        ("PUBLIC_URL", "etcetera.exchange"),
        ("PORT", "70000"),
        ("BLUESKY_INGEST", "pigeons"),
        ("BLUESKY_HANDLE", "@etcetera.test"),
        ("BLUESKY_HANDLE", "etcetera"),
        ("BLUESKY_POLL_SECONDS", "0"),
        ("DATABASE_POOL", "0"),
        ("LOG_FORMAT", "xml"),
        ("DATABASE_URL", "postgresql://user:hunter2@one:1,two:port/etcetera"),
        ("DATABASE_URL", "postgresql://user:hunter2@/etcetera"),
        ("DATABASE_URL", "postgresql://user:hunter2%@one/etcetera"),
        ("REPLICA_URLS", "postgresql://a/b,nonsense"),
        ("REPLICA_URLS", "postgresql://a/b"),
        ("BLUESKY_COURIERS", "hunter2"),
        ("BLUESKY_COURIERS", '{"handle": "c.test", "password": "hunter2"}'),
        ("BLUESKY_COURIERS", '[{"handle": "c.test", "passwort": "hunter2"}]'),
        ("BLUESKY_COURIERS", '[{"handle": "hunter2", "password": "x"}]'),
        ("BLUESKY_COURIERS", '[{"handle": "c.test", "password": ""}]'),
    ],
)
def test_a_wrong_value_is_refused_by_the_variables_name(name: str, value: str) -> None:
    text = refusal(**{name: value})
    assert name in text
    assert "1 fix(es)" in text


def test_the_accounts_begin_with_the_one_that_people_mention() -> None:
    own = {"BLUESKY_HANDLE": "Etc.test", "BLUESKY_PASSWORD": "hunter1"}
    courier = '[{"handle": "Courier.test", "password": "hunter2"}]'
    assert Settings.from_env(GOOD | {"BLUESKY_COURIERS": courier}).bot_accounts == ()
    settings = Settings.from_env(GOOD | own | {"BLUESKY_COURIERS": courier})
    assert [account.handle for account in settings.bot_accounts] == ["etc.test", "courier.test"]
    assert "hunter" not in repr(settings)


def test_an_account_is_named_once() -> None:
    own = {"BLUESKY_HANDLE": "etc.test", "BLUESKY_PASSWORD": "hunter1"}
    for handles in (["etc.test"], ["c.test", "C.test"]):
        couriers = [{"handle": handle, "password": "hunter2"} for handle in handles]
        text = refusal(**own, BLUESKY_COURIERS=json.dumps(couriers))
        assert "BLUESKY_COURIERS: names an account twice" in text
        assert "hunter" not in text


@given(st.sampled_from(sorted(GOOD.keys() - {"PUBLIC_URL"})), st.text(min_size=1, max_size=50))
def test_a_refusal_never_shows_a_secret(name: str, value: str) -> None:
    try:
        shown = repr(Settings.from_env(GOOD | {name: f"{value}hunter2", "PUBLIC_URL": "http://x"}))
    except SettingsError as error:
        shown = f"{error} {error.__cause__}"
    assert "hunter2" not in shown


def test_replicas_are_read_from_phase_2_on() -> None:
    urls = "postgresql://u:p@a/b, postgresql://u:p@c/d,"
    assert len(Settings.from_env(GOOD | {"PHASE": "2", "REPLICA_URLS": urls}).replica_urls) == 2


def test_the_database_may_be_at_several_hosts_and_a_replica_is_at_one() -> None:
    several = "postgresql://u:hunter2@a:1,b:2,c/db?target_session_attrs=read-write"
    settings = Settings.from_env(GOOD | {"DATABASE_URL": several})
    assert settings.database_url.get_secret_value() == several
    ports_only = "postgresql://u:hunter2@a:1/b?host=c,d"
    assert "several hosts" in refusal(PHASE="2", REPLICA_URLS=ports_only.replace(",", "%2C"))


def test_what_a_role_needs_is_demanded_by_name() -> None:
    settings = Settings.from_env(GOOD | {"PORT": "8080"})
    assert settings.require("port") is settings
    with pytest.raises(SettingsError, match="BLUESKY_HANDLE is missing; set the bot's handle"):
        settings.require("port", "bluesky_handle", "bluesky_password")
