"""A stack's configuration: typed, frozen, and refused as a whole before anything changes.

Parsing does no I/O. Whether this machine can hold the stack is the question of `infra.preflight`.
"""

from infra.config.stack import PROJECT, ConfigError, StackConfig
from infra.config.values import HANDLE

__all__ = ["HANDLE", "PROJECT", "ConfigError", "StackConfig"]
