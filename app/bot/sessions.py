"""An account's session on its PDS, shared by all processes: made and refreshed by one at a time.

Servers allow few logins a day, and a refresh token works once. So the session is kept, encrypted,
in PostgreSQL; whoever needs a new one takes a lock and looks first whether somebody else has it.
"""

import base64
import threading
from dataclasses import dataclass
from datetime import timedelta

import httpx
import structlog
from atproto import Client, Request, Session
from atproto.exceptions import AtProtocolError, BadRequestError, NetworkError, UnauthorizedError
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.bot.silence import Silence
from app.clock import utcnow
from app.db import Database
from app.errors import Retry
from app.repository import sessions as stored_sessions
from app.settings import BotAccount, Settings

# Earlier than the SDK's own 15 minutes, so that renewing always goes through the lock.
_EARLY = timedelta(minutes=20)
_TIMEOUT = httpx.Timeout(10.0, connect=5.0)
# Longer than httpx keeps a connection, shorter than a PDS does: replies come one by one.
_CONNECTIONS = httpx.Limits(max_keepalive_connections=20, keepalive_expiry=60.0)
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=5), timedelta(minutes=15)

log = structlog.get_logger(__name__)


class RefusedError(Retry):
    """The server does not let the account in: a wrong password, or it is suspended."""


def cipher(secret_key: str) -> Fernet:
    """Encrypts sessions with a key that is good for nothing else."""
    derived = HKDF(SHA256(), length=32, salt=None, info=b"etcetera bluesky session").derive(
        secret_key.encode()
    )
    return Fernet(base64.urlsafe_b64encode(derived))


@dataclass(frozen=True)
class _Login:
    client: Client
    session: Session


class SessionKeeper:
    """Hands out a client that is logged in. Thread-safe."""

    def __init__(self, settings: Settings, database: Database, account: BotAccount) -> None:
        self._url = settings.require("bluesky_url").bluesky_url or ""
        self.handle = account.handle
        self._password = account.password
        self._cipher = cipher(settings.secret_key.get_secret_value())
        self._database = database
        self._lock = threading.Lock()
        self._login: _Login | None = None
        self._did: str | None = None
        self._pause = _FIRST_PAUSE
        self._no_login_before = utcnow()
        self._silence = Silence()

    def client(self) -> Client:
        """A client whose session is good for a while; raises Retry while no login is possible."""
        return self._current().client

    def refused(self, client: Client) -> Client:
        """A client with another session than that of `client`, which the server has refused."""
        with self._lock:
            if self._login is None or client is self._login.client:
                self._login = self._renew(refused=self._login and self._login.session)
            return self._login.client

    @property
    def did(self) -> str:
        """The account's DID. Any session tells it, so that few ever wait for a login to know it."""
        if self._did is None:
            with self._database.read(fresh=True) as conn:
                stored = self._decrypt(stored_sessions.get(conn, self.handle))
            self._did = str((stored or self._current().session).did)
        return self._did

    def _current(self) -> "_Login":
        with self._lock:
            if self._login is None or not _lasts(self._login.session):
                self._login = self._renew(refused=None)
            return self._login

    def _renew(self, refused: Session | None) -> "_Login":
        self._silence.check()  # or all who wait for the lock would wait for the server in turn
        try:
            login = self._renew_alone(refused)
        except (NetworkError, httpx.HTTPError):
            self._silence.begin()
            raise
        self._silence.end()
        return login

    def _renew_alone(self, refused: Session | None) -> "_Login":
        with self._database.transaction() as tx:
            stored_sessions.lock(tx.conn, self.handle)
            stored = self._decrypt(stored_sessions.get(tx.conn, self.handle))
            fresh = refused is None or stored is None or stored.refresh_jwt != refused.refresh_jwt
            if stored and fresh and _lasts(stored):
                return self._use(stored)
            session = (stored and self._refresh(stored)) or self._create()
            stored_sessions.put(tx.conn, self.handle, self._encrypt(session))
        return self._use(session)

    def _encrypt(self, session: Session) -> bytes:
        return self._cipher.encrypt(f"{self._url} {session.encode()}".encode())

    def _decrypt(self, token: bytes | None) -> Session | None:
        """The stored session, unless it is of another server or was kept under another key."""
        if token is None:
            return None
        try:
            url, session = self._cipher.decrypt(token).decode().split(" ", 1)
            return Session.decode(session) if url == self._url else None
        except (InvalidToken, ValueError, TypeError):
            log.warning("stored session unreadable", handle=self.handle)
            return None

    def _refresh(self, session: Session) -> Session | None:
        """A session that replaces this one, or None where the server wants a new login."""
        try:
            answer = self._open().com.atproto.server.refresh_session(
                headers={"Authorization": f"Bearer {session.refresh_jwt}"},
                ignore_session_check=True,
            )
        except (BadRequestError, UnauthorizedError) as error:
            log.info("session cannot be refreshed", handle=self.handle, error=str(error))
            return None
        log.info("session refreshed", handle=self.handle)
        return Session(
            answer.handle, answer.did, answer.access_jwt, answer.refresh_jwt, session.pds_endpoint
        )

    def _create(self) -> Session:
        if (wait := self._no_login_before - utcnow()) > timedelta(0):
            raise RefusedError(wait, "the last login failed")
        client = self._open()
        try:
            client.login(self.handle, self._password.get_secret_value(), fetch_bsky_profile=False)
        except AtProtocolError:
            self._no_login_before = utcnow() + self._pause
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)
            raise
        self._pause = _FIRST_PAUSE
        log.info("session created", handle=self.handle)
        return Session.decode(client.export_session_string())

    def _use(self, session: Session) -> "_Login":
        client = self._open()
        client.login(session_string=session.encode(), fetch_bsky_profile=False)
        return _Login(client, session)

    def _open(self) -> Client:
        return Client(self._url, request=Request(timeout=_TIMEOUT, limits=_CONNECTIONS))


def _lasts(session: Session) -> bool:
    payload = session.access_jwt_payload
    return bool(payload.exp and payload.exp > (utcnow() + _EARLY).timestamp())
