"""All policies on all stacks on AWS, as they are and with what an operator may choose otherwise.

What each policy finds is decided by tests/unit/policy, whether the resources are accepted by AWS's
own provider by the conformance run.
"""

from datetime import UTC, datetime

import pytest

from infra.engine.review import findings
from tests.program.aws.stacks import CHOICES, SENTINEL, parsed, recording, with_secrets

TODAY = datetime.now(UTC).date()


@pytest.mark.parametrize("choice", CHOICES)
def test_no_policy_finds_anything(choice: str) -> None:
    found = findings(recording(choice), parsed(choice), TODAY)
    assert not found, "\n".join(map(str, found))


@pytest.mark.parametrize("choice", CHOICES)
def test_secrets_of_the_configuration_stay_marked_wherever_they_go(choice: str) -> None:
    found = findings(with_secrets(choice), parsed(choice), TODAY)
    assert not found, "\n".join(map(str, found))
    # They do go somewhere: otherwise this would prove nothing.
    texts = str([one.inputs for one in with_secrets(choice).graph.resources])
    assert all(f"{SENTINEL}-{name}" in texts for name in ("password", "courier", "registry"))
