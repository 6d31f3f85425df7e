"""A stack's configuration: typed, frozen, and refused as a whole before anything changes.

Parsing does no I/O. Whether this machine can hold the stack is the question of `infra.preflight`.
"""

from infra.config.stack import HANDLE, PROJECT, ConfigError, StackConfig

__all__ = ["HANDLE", "PROJECT", "ConfigError", "StackConfig"]
