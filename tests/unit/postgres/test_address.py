"""Decides how clients find the servers, as libpq reads it."""

from psycopg.conninfo import conninfo_to_dict

from components.postgres import address

SERVERS = address.here([31, 32, 33])
TLS = {"sslmode": "verify-full", "sslrootcert": "/etc/ssl/certs/rds.pem"}


def read(url: str) -> dict[str, object]:
    return {key: value for key, value in conninfo_to_dict(url).items() if value is not None}


def test_the_writer_tries_all_servers_for_the_primary() -> None:
    assert read(address.writer("u", "p", SERVERS, "d")) == {
        "user": "u",
        "password": "p",
        "host": "127.0.0.1,127.0.0.1,127.0.0.1",
        "port": "31,32,33",
        "dbname": "d",
        "target_session_attrs": "read-write",
        "connect_timeout": "2",
    }


def test_the_reader_prefers_any_replica() -> None:
    found = read(address.reader("u", "p", SERVERS, "d"))
    assert found["target_session_attrs"] == "prefer-standby"
    assert found["load_balance_hosts"] == "random"


def test_servers_one_by_one_have_one_port_each() -> None:
    assert [read(url)["port"] for url in address.each("u", "p", SERVERS, "d")] == ["31", "32", "33"]


def test_a_single_server_is_writer_and_reader_and_no_replica() -> None:
    [only] = address.here([31])
    assert address.writer("u", "p", [only], "d") == "postgresql://u:p@127.0.0.1:31/d"
    assert address.reader("u", "p", [only], "d") == address.writer("u", "p", [only], "d")
    assert address.each("u", "p", [only], "d") == []


def test_options_are_those_of_every_server() -> None:
    for servers in (SERVERS, SERVERS[:1]):
        for describe in (address.writer, address.reader):
            assert TLS.items() <= read(describe("u", "p", servers, "d", **TLS)).items()
    for one in address.each("u", "p", SERVERS, "d", **TLS):
        assert TLS.items() <= read(one).items()
