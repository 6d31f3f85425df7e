"""What Patroni is told: the settings of a whole cluster, and one member's own configuration."""

from collections.abc import Mapping
from typing import Any

from components.postgres import parameters
from components.postgres.ports import PostgresArgs

# A startup message of protocol 3.0. Who is there answers with R (how to log in) or E (an error,
# such as that it is starting); the log says nothing about clients that then go.
STARTUP = "\x00\x00\x00\x23\x00\x03\x00\x00user\x00alive\x00database\x00alive\x00\x00"


def settings(args: PostgresArgs) -> dict[str, Any]:
    """What all members agree on; kept in etcd, where it can be changed while they run.

    Patroni allows no `ttl` below 20 s. It decides only when whoever restarts a lost primary is
    lost as well; else its successor gives up the lead at once.
    """
    return {
        "ttl": 20,
        "loop_wait": 1,
        "retry_timeout": 5,
        # A primary that crashed hands over instead of recovering first.
        "primary_start_timeout": 0,
        # Without etcd the primary goes on as long as it reaches all other members.
        "failsafe_mode": True,
        "maximum_lag_on_failover": 1024 * 1024,  # bytes
        "check_timeline": True,
        # Any one of the replicas confirms a commit, so none of them alone can hold it up; only one
        # that has everything confirmed may take over. With no replica left commits go on.
        "synchronous_mode": "quorum" if args.synchronous else False,
        "postgresql": {
            "use_pg_rewind": True,
            "use_slots": True,
            "parameters": parameters.of_member(args.size),
        },
    }


def member(
    cluster: str,
    name: str,
    *,
    settings: Mapping[str, Any],
    bin_folder: str,
    port: int,
    api_port: int,
    etcd_port: int,
    passwords: Mapping[str, str],
) -> dict[str, Any]:
    """One member's configuration.

    `passwords` are those of the roles superuser, replication and rewind, of Patroni's own interface
    (api) and of etcd.
    """
    address, api = f"127.0.0.1:{port}", f"127.0.0.1:{api_port}"
    return {
        "scope": cluster,
        "namespace": "/etcetera/",
        "name": name,
        "log": {"level": "INFO", "deduplicate_heartbeat_logs": True},
        "restapi": {
            "listen": api,
            "connect_address": api,
            # Asked of whoever wants to change something, not of readers.
            "authentication": {"username": "patroni", "password": passwords["api"]},
        },
        "etcd3": {
            "host": f"127.0.0.1:{etcd_port}",
            "username": "root",
            "password": passwords["etcd"],
        },
        "bootstrap": {
            "dcs": settings,
            "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, "data-checksums"],
        },
        "postgresql": {
            "listen": address,
            "connect_address": address,
            "data_dir": "{folder}/data",
            "bin_dir": bin_folder,
            "pgpass": "{folder}/pgpass",
            "authentication": {
                "superuser": {"username": "postgres", "password": passwords["superuser"]},
                "replication": {"username": "replicator", "password": passwords["replication"]},
                "rewind": {"username": "rewinder", "password": passwords["rewind"]},
            },
            "parameters": parameters.NO_SOCKETS,
            "pg_hba": [
                "host all all 127.0.0.1/32 scram-sha-256",
                "host replication replicator 127.0.0.1/32 scram-sha-256",
            ],
            "basebackup": [{"checkpoint": "fast"}],
            # What cannot be rewound is copied anew from the primary, which has all there is.
            "remove_data_directory_on_rewind_failure": True,
            "remove_data_directory_on_diverged_timelines": True,
        },
    }
