"""The stacks on AWS of this repository as their program declares them, each run once."""

import json
from functools import cache

from infra.config import StackConfig
from infra.engine import offline, stackfile
from infra.engine.offline import Recording

SENTINEL = "s3ntinel"

STACKS = tuple(name for name in stackfile.names() if name.endswith("-aws"))
CHOICES: dict[str, tuple[str, dict[str, str]]] = {
    **{name: (name, {}) for name in STACKS},
    "phase0-aws, a given zone": ("phase0-aws", {"hostedZoneId": "Z0123456789ABC"}),
    "phase1-aws, NAT": ("phase1-aws", {"nat": "gateway"}),
    "phase1-aws, own PostgreSQL": ("phase1-aws", {"postgresHosting": "kubernetes"}),
    "phase1-aws, Europe": ("phase1-aws", {"region": "eu-central-1"}),
    "phase2-aws, EKS": ("phase2-aws", {"kubernetes": "eks"}),
    "phase2-aws, EKS, NAT": ("phase2-aws", {"kubernetes": "eks", "nat": "gateway", "zones": "3"}),
    "phase2-aws, own PostgreSQL": ("phase2-aws", {"postgresHosting": "kubernetes"}),
    "phase2-aws, standby": ("phase2-aws", {"multiAz": "true", "databaseReplicas": "1"}),
}
"""What an operator may choose, by name: a stack file and what is set otherwise."""

# Everything secret that a stack file of AWS takes.
SECRETS = {
    "blueskyPassword": f"{SENTINEL}-password",
    "blueskyCouriers": json.dumps(
        [{"handle": "courier.example.com", "password": f"{SENTINEL}-courier"}]
    ),
    "imagePullSecret": json.dumps({"auths": {"ghcr.io": {"auth": f"{SENTINEL}-registry"}}}),
}


def config(choice: str, **changes: str) -> dict[str, str]:
    """The values of a stack file with the choice's; keys with namespace."""
    file, chosen = CHOICES[choice]
    values = {key: one.text for key, one in stackfile.StackFile.open(file).values().items()}
    return values | {f"etcetera:{key}": value for key, value in (chosen | changes).items()}


def parsed(choice: str) -> StackConfig:
    return StackConfig.parse(config(choice), stack="test")


@cache
def recording(choice: str) -> Recording:
    """What the program declares, under one stack name for all, so that they can be compared."""
    return offline.record("test", config(choice))


@cache
def with_secrets(choice: str) -> Recording:
    """The same with every secret of the configuration set to a text that holds `SENTINEL`."""
    return offline.record("test", config(choice, **SECRETS), {SENTINEL})
