"""Makes up what providers would answer, from the annotations of their SDK's classes.

A getter that promises a value (`Output[str]`) gets one, in the shape that its name asks for: an
ARN, a host, a URL, an address. One that may be empty (`Output[Optional[str]]`) stays empty. Every
text holds a mark that is unique to its resource, so that it is found again wherever it ends up,
also inside JSON; and it depends on nothing but the resource's place in the program.
"""

import base64
import enum
import hashlib
import importlib
import json
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi import _types
from pulumi.runtime import rpc

MARK = re.compile(r"0ff[0-9a-f]{9}")
"""Part of every text that was made up."""
CONFIDENTIAL = "inventedsecret"
"""Part of every text that was made up for a secret output, of any resource."""

# What the SDK does not say: identities that are ARNs.
_ARN_IDS = (
    "aws:acm/certificate:",
    "aws:iam/policy:",
    "aws:lb/",
    "aws:secretsmanager/secret:",
    "aws:sns/topic:",
    "aws:iam/openIdConnectProvider:",
)
_PORTS = {"rds": 5432, "elasticache": 6379}
_NAME_SERVERS = 4  # of each zone of Route 53
_DEEP = 3  # levels of what is nested in an output
_HOSTS = re.compile(
    r"(?i)(address|endpoint|fqdn|hostname|dnsname|domainname|nameservers|privatedns|publicdns)$"
)
_IPS = re.compile(r"(?i)ips?$|ipaddress$")
_URLS = re.compile(r"(?i)(url|uri|issuer)$")


@dataclass(frozen=True)
class Place:
    """Where a resource stands: its token, its names, its region and account."""

    type: str
    name: str
    path: str
    region: str
    account: str

    @property
    def mark(self) -> str:
        digest = hashlib.sha256(self.path.encode()).hexdigest()
        return f"0ff{digest[:9]}"

    @property
    def service(self) -> str:
        return self.type.split(":")[1].split("/")[0]


@dataclass
class Invention:
    """The id and the outputs of one resource; `texts` are those made up, by property."""

    place: Place
    inputs: Mapping[str, Any]
    secret: Sequence[str] = ()
    texts: dict[str, str] = field(default_factory=dict)
    identity: str = field(init=False)

    def __post_init__(self) -> None:
        self.identity = self._identity()

    def _identity(self) -> str:
        place = self.place
        if place.type.startswith("kubernetes:") and "metadata" in self.inputs:
            metadata = self.metadata()
            return "/".join(filter(None, (metadata.get("namespace"), metadata["name"])))
        if place.type.startswith(_ARN_IDS):
            return self._text("arn")
        return self._noted("id", f"{place.name}-{place.mark}")

    def outputs(self) -> dict[str, Any]:
        """The inputs, completed by what the provider computes."""
        promised = hints(self.place.type)
        known = {
            key: conform(promised[key], value) if key in promised else value
            for key, value in self.inputs.items()
        }
        made = {
            key: self.value(key, hint)
            for key, hint in promised.items()
            if key not in known and not _optional(hint)
        }
        if "tagsAll" in made:
            made["tagsAll"] = dict(self.inputs.get("tags") or {})
        if self.place.type.startswith("kubernetes:") and "metadata" in self.inputs:
            made["metadata"] = self.metadata()
            known.pop("metadata")
        return known | made | self._status()

    def metadata(self) -> dict[str, Any]:
        """That of an object in a cluster, with the name it would be given."""
        given = dict(self.inputs["metadata"])
        if "name" not in given:
            given["name"] = self._noted("metadata.name", f"{self.place.name}-{self.place.mark}")
        return given

    def value(self, key: str, hint: Any, depth: int = 0) -> Any:
        """Something of a type, for a property of this name."""
        made: Any = None
        inner = _unwrapped(hint)
        origin = typing.get_origin(inner)
        if inner is str or inner is Any:
            made = self._text(key)
        elif inner is bool:
            made = False
        elif inner is int or inner is float:
            made = _PORTS.get(self.place.service, 443) if key.lower().endswith("port") else 1
        elif isinstance(inner, type) and _types.is_output_type(inner):
            # Everything within an output may be empty by its type, and seldom is.
            nested = _types._raw_return_hints(inner) if depth < _DEEP else {}
            made = {name: self.value(name, one, depth + 1) for name, one in nested.items()}
        elif _is(origin or inner, Mapping):
            made = {}
        elif _is(origin, Sequence):
            item = typing.get_args(inner)[0]
            if key == "domainValidationOptions":
                return [self.value("", item) | {"domainName": name} for name in self._domains()]
            count = _NAME_SERVERS if key == "nameServers" else 1
            made = [self.value(key, item, depth) for _ in range(count)]
        elif isinstance(inner, type) and issubclass(inner, enum.Enum):
            made = next(iter(inner)).value
        return made

    def _domains(self) -> list[str]:
        """What a certificate is for, each name to be proven once."""
        given = [self.inputs.get("domainName"), *self.inputs.get("subjectAlternativeNames", [])]
        return [str(name) for name in dict.fromkeys(given)]

    def _status(self) -> dict[str, Any]:
        """A balancer before what a cluster serves outside has an address, once it is there."""
        if (
            self.place.type == "kubernetes:core/v1:Service"
            and (self.inputs.get("spec") or {}).get("type") == "LoadBalancer"
        ):
            return {"status": {"loadBalancer": {"ingress": [{"hostname": self._text("hostname")}]}}}
        return {}

    def _text(self, key: str) -> str:
        place, mark = self.place, self.place.mark
        kind = place.type.rsplit(":", 1)[-1].lower()
        host = f"{place.name}-{mark}.{place.region}.{place.service}.example"
        made = f"{place.name}-{mark}"
        if key in self.secret:
            made = f"{CONFIDENTIAL}{mark}-{key}"
            if key.lower().endswith(("pem", "openssh", "pkcs8")):
                made = _pem("PRIVATE KEY", made)
            elif isinstance(length := self.inputs.get("length"), int):
                made = made.ljust(length, "0")[: max(length, len(CONFIDENTIAL + mark))]
        elif key.lower().endswith("pem"):
            made = _pem("CERTIFICATE", made)
        elif key.lower().endswith("arn"):
            made = f"arn:aws:{place.service}:{place.region}:{place.account}:{kind}/{made}"
        elif key == "data" or key.lower().endswith(("base64", "b64std", "certificateauthority")):
            made = base64.b64encode(made.encode()).decode()
        elif _IPS.search(key):
            made = f"192.0.2.{1 + int(mark[3:], 16) % 254}"
        elif _URLS.search(key) or (place.service == "eks" and key == "endpoint"):
            made = f"https://{host}/{mark}"
        elif place.service == "rds" and key == "endpoint":
            made = f"{host}:{_PORTS['rds']}"
        elif _HOSTS.search(key):
            made = host
        elif key == "region":
            return place.region
        elif key in ("accountId", "ownerId", "registryId"):
            return place.account
        elif key == "availabilityZone":
            return f"{place.region}a"
        return self._noted(key, made)

    def _noted(self, key: str, made: str) -> str:
        self.texts.setdefault(key, made)
        return made


def hints(token: str) -> dict[str, Any]:
    """What each output of a resource type promises to be; nothing for types of no SDK."""
    package, module, *_ = token.split(":")
    found = rpc.get_resource_module(package, module, "")
    info: Mapping[str, Any] = getattr(found, "mod_info", {})
    name = info.get("classes", {}).get(token)
    if name is None:
        return {}
    declared = _types._raw_return_hints(getattr(importlib.import_module(info["fqn"]), name))
    return {key: hint for key, hint in declared.items() if key not in ("id", "urn")}


def answer(token: str) -> dict[str, Any]:
    """What each value that a function gives promises to be. Raises LookupError."""
    package, module, function = token.split(":")
    snake = re.sub(r"(?<=[a-z0-9])([A-Z])", lambda m: "_" + m[1].lower(), function)
    area = "" if module.startswith("index") else "." + module.split("/")[0]
    try:
        code: types.ModuleType = importlib.import_module(f"pulumi_{package}{area}.{snake}")
        result = getattr(code, function[0].upper() + function[1:] + "Result")
    except (ImportError, AttributeError):
        raise LookupError(token) from None
    return _types._raw_return_hints(result)


def conform(hint: Any, value: Any) -> Any:
    """An input as the SDK insists on having it among the outputs."""
    inner = _unwrapped(hint)
    nested: Callable[[str], Any] | None = None
    if isinstance(value, Mapping):
        if inner is str:
            return json.dumps(value)
        if isinstance(inner, type) and _types.is_output_type(inner):
            declared = _types._raw_return_hints(inner)
            nested = declared.get
        return {key: conform(nested(key) if nested else Any, v) for key, v in value.items()}
    if isinstance(value, list):
        arguments = typing.get_args(inner)
        return [conform(arguments[0] if arguments else Any, one) for one in value]
    if inner is str and not isinstance(value, str) and value is not None:
        return str(value).lower() if isinstance(value, bool) else str(value)
    if inner in (int, float) and isinstance(value, str):
        return inner(value) if re.fullmatch(r"-?\d+(\.\d+)?", value) else 0
    if inner is bool and isinstance(value, str):
        return value == "true"
    return value


def _unwrapped(hint: Any) -> Any:
    """The type within Output[…] and Optional[…]; of several the first that is no dictionary."""
    if typing.get_origin(hint) is pulumi.Output:
        hint = typing.get_args(hint)[0]
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        members = [one for one in typing.get_args(hint) if one is not type(None)]
        hint = next((m for m in members if not typing.is_typeddict(m)), members[0])
    return hint


def _optional(hint: Any) -> bool:
    if typing.get_origin(hint) is pulumi.Output:
        hint = typing.get_args(hint)[0]
    return type(None) in typing.get_args(hint)


def _is(kind: Any, base: type) -> bool:
    return isinstance(kind, type) and issubclass(kind, base)


def _pem(what: str, content: str) -> str:
    return f"-----BEGIN {what}-----\n{content}\n-----END {what}-----\n"
