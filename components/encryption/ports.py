"""What the encryption backend takes and gives."""

from dataclasses import dataclass

import pulumi


@dataclass(frozen=True)
class EncryptionArgs:
    """Nothing to choose."""


@dataclass(frozen=True)
class EncryptionOutputs:
    """`key_arn` is the stack's own KMS key: databases, disks, secrets, logs and topics use it.
    `global_key_arn` is for what must be in us-east-1; the same key when the stack is there."""

    key_arn: pulumi.Output[str]
    global_key_arn: pulumi.Output[str]
