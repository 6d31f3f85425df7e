"""Decides what counts as drift: what the CLI says, what the local provider finds, what may differ.

The recordings are of `pulumi refresh --preview-only --json` on a local stack: as it was deployed,
and after one process was killed and another was removed behind the CLI's back. That a process which
is lost on this machine is found is decided by tests/integration/local.
"""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from infra import drift
from infra.drift import Allowance, Drift, DriftError, allowances, judge, of_refresh, of_registry

RECORDED = Path(__file__).parent / "recorded"
TODAY = date(2026, 11, 23)
PROCESS = "local:index:Process"
WEB = Drift(PROCESS, "web", "differs", ("state",))
GONE = Drift(PROCESS, "postgres", "is gone")


def recorded(name: str) -> Any:
    return json.loads((RECORDED / f"{name}.json").read_text())


def allowance(**changes: Any) -> Allowance:
    values: dict[str, Any] = {
        "resource": "web",
        "property": "state",
        "reason": "it is being looked into",
        "until": TODAY,
    }
    return Allowance(**values | changes)


def test_a_stack_as_it_was_deployed_has_no_drift() -> None:
    assert of_refresh(recorded("refresh-same")) == []


def test_what_a_refresh_would_change_is_drift() -> None:
    assert of_refresh(recorded("refresh-drifted")) == [GONE, WEB]


def test_without_a_detailed_difference_the_outputs_are_compared() -> None:
    step = {
        "op": "update",
        "urn": "urn:pulumi:s::etcetera::etcetera:data:Redis$aws:elasticache/x:X::redis",
        "oldState": {"outputs": {"nodeType": "small", "arn": "a"}},
        "newState": {"outputs": {"nodeType": "large", "arn": "a"}},
        "detailedDiff": None,
    }
    assert of_refresh({"steps": [step]}) == [
        Drift("aws:elasticache/x:X", "redis", "differs", ("nodeType",))
    ]


def test_the_local_provider_finds_what_is_missing_or_not_ready() -> None:
    found: dict[tuple[str, str], dict[str, Any] | None] = {
        (PROCESS, "web"): {"state": "ready"},
        (PROCESS, "worker-9"): {"state": "parked"},
        (PROCESS, "redis"): {"state": "failed"},
        (PROCESS, "postgres"): None,
    }
    assert {one.name: one.what for one in of_registry(found)} == {
        "redis": "is failed",
        "postgres": "is gone",
    }


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        ({}, [GONE]),
        ({"resource": "w*", "property": "*"}, [GONE]),
        ({"stack": "phase1*"}, [GONE]),
        ({"resource": "postgres", "property": "*"}, [WEB]),
        ({"stack": "phase2"}, [GONE, WEB]),
        ({"property": "pid"}, [GONE, WEB]),
        ({"until": TODAY - timedelta(days=1)}, [GONE, WEB]),
    ],
)
def test_what_is_allowed_to_differ_is_left_out(changes: dict[str, Any], left: list[Drift]) -> None:
    verdict = judge("phase1", [GONE, WEB], [allowance(**changes)], TODAY)
    assert list(verdict.drifted) == left
    assert bool(verdict.expired) == ("until" in changes)


def test_a_property_stands_for_what_is_in_it_and_no_more() -> None:
    nested = Drift("t", "web", "differs", ("tags.owner", "tagsAll"))
    [left] = judge("s", [nested], [allowance(property="tags")], TODAY).drifted
    assert left.keys == ("tagsAll",)


def test_the_list_of_this_repository_can_be_read() -> None:
    assert isinstance(allowances(), list)


def test_a_list_without_reasons_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "drift-ignore.yaml"
    file.write_text("- {resource: web, property: state, until: 2027-01-01}\n")
    with pytest.raises(DriftError, match="reason"):
        allowances(file)


def test_a_stack_on_aws_needs_the_cli(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(DriftError, match="Pulumi CLI"):
        drift._refreshed("phase1-aws")
