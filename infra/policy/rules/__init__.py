"""All policies, one module for each thing that they look after."""

from collections.abc import Collection

from infra.policy.rule import Rule
from infra.policy.rules import (
    access,
    durability,
    encryption,
    exposure,
    ownership,
    secrets,
    watch,
    workloads,
)

RULES: tuple[Rule, ...] = (
    *encryption.RULES,
    *exposure.RULES,
    *durability.RULES,
    *access.RULES,
    *secrets.RULES,
    *workloads.RULES,
    *watch.RULES,
    *ownership.RULES,
)
"""Those that need nothing but the resources."""


def rules(paid_for: Collection[str], known: Collection[str]) -> tuple[Rule, ...]:
    """All, for a stack whose cost names `paid_for`, and in which texts that are `known` to be
    secret stand nowhere in plain."""
    return (*RULES, ownership.unpriced(paid_for), secrets.leaked(known))
