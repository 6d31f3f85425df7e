"""Programs that refuse to run as root, such as PostgreSQL."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache

from infra.local.errors import LocalError


def unprivileged(command: Sequence[str]) -> list[str]:
    """The command such that it does not see itself as root; files stay owned by who we are."""
    if os.geteuid() != 0:
        return list(command)
    return [_unshare(), "--user", "--", *command]


@cache
def _unshare() -> str:
    path = shutil.which("unshare")
    if path is None:
        raise LocalError(
            "this program refuses to run as root, and `unshare` is missing: "
            "run as another user, or install util-linux"
        )
    trial = subprocess.run([path, "--user", "--", "true"], capture_output=True, text=True)
    if trial.returncode != 0:
        raise LocalError(
            "this program refuses to run as root, and this machine does not allow user "
            f"namespaces ({trial.stderr.strip()}): run as another user, or allow them "
            "(sysctl user.max_user_namespaces)"
        )
    return path
