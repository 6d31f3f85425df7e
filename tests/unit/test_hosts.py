"""Decides: how URLs with one or several servers are taken apart, as libpq does it."""

import pytest
from psycopg.conninfo import conninfo_to_dict

from app import hosts

SEVERAL = (
    "postgresql://u:p%40ss@h1:5433,h2,h3:5434/db?target_session_attrs=read-write&sslmode=prefer"
)


def test_servers_are_named_by_host_and_port() -> None:
    assert hosts.names(SEVERAL) == ["h1:5433", "h2:5432", "h3:5434"]
    assert hosts.names("postgresql://u:p@h/db") == ["h:5432"]
    assert hosts.names("postgresql://u:p@[::1]:99/db") == ["::1:99"]


def test_each_server_can_be_connected_to_alone_whatever_it_is() -> None:
    alone = conninfo_to_dict(hosts.split(SEVERAL)["h3:5434"])
    assert (alone["host"], alone["port"], alone["password"]) == ("h3", "5434", "p@ss")
    assert "target_session_attrs" not in alone
    assert alone["sslmode"] == "prefer"


def test_some_of_the_servers_can_be_asked_for_in_another_order() -> None:
    some = conninfo_to_dict(hosts.only(SEVERAL, ["h3:5434", "h1:5433"]))
    assert (some["host"], some["port"]) == ("h3,h1", "5434,5433")
    assert some["target_session_attrs"] == "read-write"


@pytest.mark.parametrize("places", ["h:0", "h:65536", "h:x", "h1:1,h2:x"])
def test_ports_that_are_none_are_refused(places: str) -> None:
    with pytest.raises(ValueError, match="port"):
        hosts.names(f"postgresql://u:p@{places}/db")
