"""Secrets are marked, so that state and output hold them encrypted."""

import re
from collections.abc import Collection, Iterator

from infra.policy.graph import Graph, texts
from infra.policy.rule import Breach, Rule, Severity

_NAMED = re.compile(r"(?i)(password|secretstring|authtoken|privatekey|secretkey|apikey|token)$")
_SHAPED = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\bAKIA[0-9A-Z]{16}\b|://[^/\s:@]*:[^/\s@]{8,}@"
)
# Names that end like a secret and hold none.
_HARMLESS = frozenset({"httpTokens", "managedMasterUserPassword", "automountServiceAccountToken"})


def _plain(graph: Graph) -> Iterator[Breach]:
    for resource in graph.resources:
        for path, text in texts(resource.inputs):
            last = path.rsplit(".", 1)[-1]
            hidden = any(path == s or path.startswith(s + ".") for s in resource.secrets)
            named = _NAMED.search(last) and last not in _HARMLESS and len(text) > 1
            if not hidden and (named or _SHAPED.search(text)):
                yield Breach(resource, f"has a secret in plain text at {path}")


def _user_data(graph: Graph) -> Iterator[Breach]:
    """Everybody on the machine, and whoever may describe it, reads user data."""
    for resource in graph.of("aws:ec2/instance:Instance", "aws:ec2/launchTemplate:LaunchTemplate"):
        for key in ("userData", "userDataBase64"):
            if any(path == key or path.startswith(key + ".") for path in resource.secrets):
                yield Breach(resource, f"hands a secret over in {key}")


def leaked(known: Collection[str]) -> Rule:
    """The rule that none of these texts stands anywhere that is not marked as secret."""

    def check(graph: Graph) -> Iterator[Breach]:
        for resource in graph.resources:
            for path, text in texts(resource.inputs):
                hidden = any(path == s or path.startswith(s + ".") for s in resource.secrets)
                if not hidden and any(secret in text for secret in known):
                    yield Breach(resource, f"has a secret of another part in plain text at {path}")

    return Rule(
        "no-leaks",
        Severity.ERROR,
        "A value made from a secret is as secret as that",
        "Make it with Output.concat, apply or format, which keep the mark, from marked values",
        check,
    )


RULES = (
    Rule(
        "no-plain-secrets",
        Severity.ERROR,
        "State files, logs and previews are read by more people than the secret is for",
        "Make the value with Output.secret, or keep it in Secrets Manager",
        _plain,
    ),
    Rule(
        "no-secrets-in-user-data",
        Severity.ERROR,
        "User data is readable on the machine and through the API",
        "Let the machine's role read the secret from Secrets Manager",
        _user_data,
    ),
)
