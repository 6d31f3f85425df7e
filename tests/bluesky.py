"""A Bluesky network of one's own for tests, with the people on it.

    with LocalBluesky(database_url) as network:
        alice = network.person("alice")
        post = alice.mention(network.bot_did, network.bot_handle, "claim")
        answer = alice.wait_for_reply(post.uri, timeout=30)

The network is the one the local target runs. It needs `scripts/setup` and a PostgreSQL database.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import psutil

from components.bluesky.local import NODE_OPTIONS
from components.bluesky.people import Notification, Person, Post, Ref
from infra.local import binaries
from tests.servers import free_port

__all__ = ["LocalBluesky", "Notification", "Person", "Post", "Ref"]

PROGRAM = Path(__file__).parents[1] / "components" / "bluesky" / "network" / "network.mjs"
READY_SECONDS = 60.0
STOP_SECONDS = 5.0


class LocalBluesky:
    """Started by `with` or `start`. `kill` and `start` again give the same network.

    `ports` are those of PLC, PDS and AppView; free ones by default. `folder` keeps the network
    beyond the block; a temporary folder by default.
    """

    bot_handle = "etcetera.test"

    def __init__(
        self,
        database_url: str,
        *,
        ports: tuple[int, int, int] | None = None,
        folder: Path | None = None,
        bot_password: str | None = None,
        rate_limits: bool = True,
    ) -> None:
        self.ports = ports or (free_port(), free_port(), free_port())
        self.bot_password = bot_password or secrets.token_urlsafe(16)
        self.url = f"http://localhost:{self.ports[1]}"
        self.appview_url = f"http://localhost:{self.ports[2]}"
        self._database_url = database_url
        self._rate_limits = rate_limits
        self._keep = folder is not None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="etcetera-bluesky-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._people: dict[str, Person] = {}

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def start(self) -> None:
        """Returns when the bot's account can be used. RuntimeError when it never can."""
        if not (PROGRAM.parent / "node_modules").is_dir():
            raise RuntimeError("the local Bluesky network is not installed; run scripts/setup")
        bot = {
            "handle": self.bot_handle,
            "password": self.bot_password,
            "displayName": "Etcetera.Exchange",
            "bot": True,
        }
        plc, pds, appview = (str(port) for port in self.ports)
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "PLC_PORT": plc,
            "PDS_PORT": pds,
            "APPVIEW_PORT": appview,
            "DATABASE_URL": self._database_url,
            "DATA_FOLDER": str(self.folder / "data"),
            "ACCOUNTS": json.dumps([bot]),
            "RATE_LIMITS": "on" if self._rate_limits else "off",
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(part) for part in [*_until_we_die(), binaries.node(), *NODE_OPTIONS, PROGRAM]],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + READY_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            with suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/readyz", timeout=2).is_success:
                    return
            time.sleep(0.1)
        self.kill()
        raise RuntimeError(f"the local Bluesky network does not start:\n{self.log.read_text()}")

    def stop(self) -> None:
        """In order; killed when that takes too long."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """As when the machine fails."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        for person in self._people.values():
            person.close()
        self.stop()
        if not self._keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def process(self) -> psutil.Process:
        """RuntimeError when it does not run."""
        if self._process is None:
            raise RuntimeError("the network does not run")
        return psutil.Process(self._process.pid)

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def bot_did(self) -> str:
        return self.bot.did

    @property
    def bot(self) -> Person:
        """The account of the bot, to look at what it sees and wrote."""
        if self.bot_handle not in self._people:
            self._people[self.bot_handle] = Person.log_in(
                self.url, self.bot_handle, self.bot_password
            )
        return self._people[self.bot_handle]

    def person(self, name: str) -> Person:
        """The person `@name.test`, signed up the first time."""
        handle = f"{name}.test"
        if handle not in self._people:
            self._people[handle] = Person.join(self.url, handle, f"password of {name}")
        return self._people[handle]


def _until_we_die() -> list[str]:
    """Ends the network when the tests are killed."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM"] if setpriv else []
