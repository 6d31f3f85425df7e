"""The stack's encryption key, which only the parts of the stack may use."""

from components.base import Component
from components.encryption.ports import EncryptionArgs, EncryptionOutputs

__all__ = ["Encryption", "EncryptionArgs", "EncryptionOutputs"]


class Encryption(Component[EncryptionArgs, EncryptionOutputs]):
    token = "etcetera:foundation:Encryption"  # noqa: S105
    targets = ("aws",)
