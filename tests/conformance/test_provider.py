"""Decides that the real AWS provider accepts what the AWS stacks declare: names, types, values and
combinations of arguments, up to a plan. Skipped, and said so, where the provider is not installed.
"""

import subprocess
from pathlib import Path

import pytest

from infra.engine import stackfile

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

REPOSITORY = Path(__file__).parents[2]
NOT_INSTALLED = 3
STACKS = [name for name in stackfile.names() if name.endswith("-aws")]


@pytest.mark.parametrize("stack", STACKS)
def test_the_provider_validates_and_plans_every_resource(stack: str) -> None:
    done = subprocess.run(
        ["./scripts/conformance", stack, "--until", "plan"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    if done.returncode == NOT_INSTALLED:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
