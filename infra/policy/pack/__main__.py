from pulumi_policy import PolicyPack

from infra.policy.pack import policies

PolicyPack("etcetera", policies())
