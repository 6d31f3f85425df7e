"""What `scripts/pulumi` says of stacks on AWS where the Pulumi CLI is not installed."""

import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from infra.engine.__main__ import cli
from infra.engine.stackfile import StackFile, Value


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets values of phase1-aws for one test."""

    def configure(**values: str) -> None:
        read = StackFile.values
        added = {f"etcetera:{key}": Value(text) for key, text in values.items()}

        def both(file: StackFile) -> dict[str, Value]:
            return read(file) | (added if file.name == "phase1-aws" else {})

        monkeypatch.setattr(StackFile, "values", both)

    return configure


def test_a_preview_shows_resources_cost_and_findings_and_ends_well() -> None:
    result = run("preview", "--stack", "phase1-aws")
    assert result.exit_code == 0, result.output
    for said in ("Instance postgres protected", "US dollars a month", "Policies: nothing found"):
        assert said in result.output


def test_a_preview_from_another_stack_says_what_would_happen() -> None:
    result = run("preview", "--stack", "phase1-aws", "--compare", "phase0-aws", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    comparison = document["comparison"]
    assert comparison["from"] == "phase0-aws"
    assert any(path.endswith("::redis") for path in comparison["added"])
    database = next(one for one in comparison["changed"] if one["path"].endswith("::postgres"))
    assert "instanceClass" in database["keys"]
    assert database["replaced"] == []
    assert not comparison["losses"]
    assert document["cost"]["schema"] == "cost/v1"
    assert not document["blocks"]


def test_what_would_be_lost_ends_a_preview_with_an_error(configured: Callable[..., None]) -> None:
    configured(postgresHosting="kubernetes")
    result = run("preview", "--stack", "phase1-aws", "--compare", "phase0-aws")
    assert result.exit_code == 1
    assert "postgres (aws:rds/instance:Instance) would be removed" in result.output


def test_a_finding_ends_a_preview_with_an_error_and_an_exception_lets_it_through(
    configured: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.policy.rules.watch._CACHE", (("Nothing",),))
    result = run("preview", "--stack", "phase1-aws")
    assert result.exit_code == 1
    assert "redis has no alarm on Nothing" in result.output

    granted = {"rule": "watched", "resource": "redis", "reason": "a test of exceptions"}
    configured(policyExceptions=json.dumps([granted | {"until": "2999-01-01"}]))
    result = run("preview", "--stack", "phase1-aws")
    assert result.exit_code == 0
    assert "a test of exceptions" in result.output


@pytest.mark.parametrize(
    "command",
    [
        ("up", "--yes"),
        ("destroy", "--yes"),
        ("refresh",),
        ("stack", "output"),
    ],
)
def test_what_needs_the_cli_says_so(command: tuple[str, ...]) -> None:
    result = run(*command, "--stack", "phase1-aws")
    assert result.exit_code == 1
    assert "needs the Pulumi CLI" in result.output


def test_stacks_are_listed_also_those_whose_resources_only_the_cli_knows() -> None:
    rows = {
        one["name"]: one["resourceCount"] for one in json.loads(run("stack", "ls", "-j").stdout)
    }
    assert rows["phase1-aws"] is None


def test_a_local_stack_is_compared_with_nothing() -> None:
    result = run("preview", "--stack", "phase1", "--compare", "phase0")
    assert result.exit_code == 1
    assert "for stacks on AWS" in result.output
