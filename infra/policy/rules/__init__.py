"""All policies, one module for each thing that they look after."""

from infra.policy.rule import Rule
from infra.policy.rules import (
    access,
    durability,
    encryption,
    exposure,
    ownership,
    secrets,
    workloads,
)

RULES: tuple[Rule, ...] = (
    *encryption.RULES,
    *exposure.RULES,
    *durability.RULES,
    *access.RULES,
    *secrets.RULES,
    *workloads.RULES,
    *ownership.RULES,
)
"""Those that need nothing but the resources; `ownership.unpriced` needs the cost as well."""
