"""The stack that is put under load, through what it exports."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row

from app.db import Connection, Database
from app.settings import Settings
from infra.config import ConfigError, StackConfig
from infra.engine import deploy, program
from infra.engine.stackfile import StackFile
from infra.stack import Stack


class UnfitError(Exception):
    """The stack must not be put under load; the message says why."""


@dataclass(frozen=True)
class Site:
    """A stack that is up. `root` has its processes."""

    name: str
    root: Path
    outputs: Mapping[str, Any]

    @classmethod
    def of_stack(cls, name: str) -> Self:
        """Raises ConfigError when there is no such stack, and what the program raises."""
        values = {key: value.text for key, value in StackFile.open(name).values().items()}
        stack = Stack(name, StackConfig.parse(values, stack=name))
        monitor = deploy.ReadMonitor()
        program.run(monitor, name, values, preview=False, program=program.reading)
        outputs = monitor.outputs.values
        if not isinstance(outputs.get("database_url"), str):
            raise ConfigError(f"stack {name} is not up; run: scripts/up {name}")
        return cls(name, stack.local.root, outputs)

    @property
    def database_url(self) -> str:
        return str(self.outputs["database_url"])

    @property
    def bluesky_url(self) -> str:
        return str(self.outputs["endpoints"].get("bluesky_url", ""))

    @property
    def bot(self) -> str:
        return str(self.outputs["bot_handle"])

    @property
    def port(self) -> int:
        """What people's browsers talk to."""
        return int(urlsplit(self.outputs["web_url"]).port or 80)

    def check(self, *, elsewhere: bool) -> None:
        """UnfitError for a bot on the real Bluesky and, unless `elsewhere`, for other hosts."""
        if not _loopback(urlsplit(self.bluesky_url).hostname):
            raise UnfitError(
                f"the bot of {self.name} is not on a network of this machine; "
                "nobody may load bsky.social"
            )
        hosts = [str(urlsplit(self.outputs["web_url"]).hostname)]
        hosts += str(conninfo_to_dict(self.database_url).get("host")).split(",")
        strangers = [host for host in hosts if not _loopback(host)]
        if strangers and not elsewhere:
            raise UnfitError(f"{strangers[0]} is not this machine; say --yes-really to load it")

    def connect(self) -> Connection:
        """A connection of its own to the primary."""
        return psycopg.connect(self.database_url, row_factory=dict_row, connect_timeout=5)

    def database(self, connections: int = 2) -> Database:
        """The app's own way to the data: it follows a failover."""
        return Database.open(
            Settings.from_env(
                {
                    "PHASE": str(self.outputs["phase"]),
                    "DATABASE_URL": self.database_url,
                    "REPLICA_URLS": ",".join(self.outputs.get("replica_urls") or ()),
                    "PUBLIC_URL": str(self.outputs["web_url"]),
                    "SECRET_KEY": secrets.token_hex(32),
                    "DATABASE_POOL": str(connections),
                }
            )
        )


def _loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False
