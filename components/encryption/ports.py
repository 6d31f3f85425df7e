"""What the encryption backend takes and gives."""

from dataclasses import dataclass

import pulumi


@dataclass(frozen=True)
class EncryptionArgs:
    """Nothing to choose."""


@dataclass(frozen=True)
class EncryptionOutputs:
    """`key_arn` is the stack's own KMS key: databases, disks, secrets, logs and topics use it."""

    key_arn: pulumi.Output[str]
