"""Stack files: `stacks/Pulumi.<stack>.yaml`, as the Pulumi CLI reads and writes them."""

import base64
import json
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from infra.config import PROJECT, ConfigError

FOLDER = Path(__file__).parents[2] / "stacks"
_NAME = re.compile(r"^[A-Za-z0-9_.-]{1,100}$")
# The CLI's parameters: a stack file written here opens there, and the reverse.
_ITERATIONS = 1_000_000
_CHECK = b"pulumi"


@dataclass(frozen=True)
class Value:
    """A configuration value in plain text; `secret` ones are encrypted in the file."""

    text: str
    secret: bool = False


class StackFile:
    """One stack's file. Comments and order survive changes."""

    def __init__(self, name: str, path: Path, document: dict[str, Any]) -> None:
        self.name = name
        self.path = path
        self._document = document

    @classmethod
    def open(cls, name: str, folder: Path = FOLDER) -> Self:
        """Reads the stack's file. Raises `ConfigError` when there is none or it cannot be read."""
        path = cls._path(name, folder)
        if not path.exists():
            known = ", ".join(names(folder)) or "none yet"
            raise ConfigError(
                f"there is no stack {name} (there are: {known}). "
                f"Make it with: scripts/pulumi stack init {name}"
            )
        try:
            document = YAML().load(path.read_text()) or {}
        except (OSError, UnicodeDecodeError, YAMLError) as error:
            raise ConfigError(f"{path} cannot be read: {error}") from None
        if not isinstance(document, dict) or not isinstance(document.get("config") or {}, dict):
            raise ConfigError(f"{path}: `config` must be a map of keys to values")
        return cls(name, path, document)

    @classmethod
    def create(cls, name: str, folder: Path = FOLDER) -> Self:
        """Makes a new, empty stack file. Raises `ConfigError` when it exists."""
        path = cls._path(name, folder)
        if path.exists():
            raise ConfigError(f"stack {name} exists already ({path})")
        created = cls(name, path, {"config": {}})
        created._save()
        return created

    @staticmethod
    def _path(name: str, folder: Path) -> Path:
        if not _NAME.match(name):
            raise ConfigError(f"{name!r} is no stack name; use letters, digits, _, . and -")
        return folder / f"Pulumi.{name}.yaml"

    def values(self) -> dict[str, Value]:
        """All values by full key, secrets opened. Raises `ConfigError` on a wrong passphrase."""
        found = {}
        for key, raw in (self._document.get("config") or {}).items():
            full = key if ":" in key else f"{PROJECT}:{key}"
            if isinstance(raw, dict) and set(raw) == {"secure"}:
                found[full] = Value(self._crypter().open(raw["secure"]), secret=True)
            elif isinstance(raw, dict | list):
                found[full] = Value(json.dumps(raw))
            elif isinstance(raw, bool):
                found[full] = Value(str(raw).lower())
            else:
                found[full] = Value("" if raw is None else str(raw))
        return found

    def set(self, key: str, value: Value) -> None:
        """Sets a value and saves the file. A key without namespace is the project's."""
        full = key if ":" in key else f"{PROJECT}:{key}"
        if self._document.get("config") is None:
            self._document["config"] = {}
        self._document["config"][full] = (
            {"secure": self._crypter().seal(value.text)} if value.secret else value.text
        )
        self._save()

    def remove(self, key: str) -> None:
        """Removes a value and saves the file; fine when it is not there."""
        full = key if ":" in key else f"{PROJECT}:{key}"
        (self._document.get("config") or {}).pop(full, None)
        self._save()

    def delete(self) -> None:
        self.path.unlink()

    def _crypter(self) -> "_Crypter":
        salt = self._document.get("encryptionsalt")
        if salt is None:
            crypter, salt = _Crypter.create(_passphrase())
            self._document["encryptionsalt"] = salt
            return crypter
        return _Crypter.from_state(str(salt), _passphrase(), self.name)

    def _save(self) -> None:
        staged = self.path.with_suffix(".yaml.new")
        with staged.open("w") as file:
            yaml = YAML()
            yaml.width = 4096  # no line breaks inside sealed values
            yaml.dump(self._document, file)
        staged.replace(self.path)


def names(folder: Path = FOLDER) -> list[str]:
    """The stacks that have a file."""
    return sorted(
        path.name.removeprefix("Pulumi.").removesuffix(".yaml")
        for path in folder.glob("Pulumi.*.yaml")
    )


class _Crypter:
    """AES-256-GCM under a key derived from a passphrase: `v1:<nonce>:<ciphertext>`."""

    def __init__(self, passphrase: str, salt: bytes) -> None:
        derivation = PBKDF2HMAC(SHA256(), length=32, salt=salt, iterations=_ITERATIONS)
        self._cipher = AESGCM(derivation.derive(passphrase.encode()))

    @classmethod
    def create(cls, passphrase: str) -> tuple[Self, str]:
        """A crypter with a new salt, and the state to keep: `v1:<salt>:<sealed check word>`."""
        salt = secrets.token_bytes(8)
        crypter = cls(passphrase, salt)
        return crypter, f"v1:{_encode(salt)}:{crypter.seal(_CHECK.decode())}"

    @classmethod
    def from_state(cls, state: str, passphrase: str, stack: str) -> Self:
        try:
            _, salt, check = state.split(":", 2)
            crypter = cls(passphrase, base64.b64decode(salt))
            crypter.open(check)
        except (ValueError, InvalidTag):
            raise ConfigError(
                f"the passphrase of stack {stack} is wrong. Set PULUMI_CONFIG_PASSPHRASE "
                "(the stacks of this repository have an empty one)"
            ) from None
        return crypter

    def seal(self, text: str) -> str:
        nonce = secrets.token_bytes(12)
        return f"v1:{_encode(nonce)}:{_encode(self._cipher.encrypt(nonce, text.encode(), None))}"

    def open(self, sealed: str) -> str:
        _, nonce, ciphertext = sealed.split(":")
        return self._cipher.decrypt(
            base64.b64decode(nonce), base64.b64decode(ciphertext), None
        ).decode()


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _passphrase() -> str:
    file = os.environ.get("PULUMI_CONFIG_PASSPHRASE_FILE")
    if "PULUMI_CONFIG_PASSPHRASE" not in os.environ and file:
        return Path(file).read_text().strip()
    return os.environ.get("PULUMI_CONFIG_PASSPHRASE", "")
