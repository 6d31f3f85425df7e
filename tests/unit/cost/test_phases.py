"""Decides that the phases' default sizes keep the roadmap's budgets, and what choices cost."""

import pytest

from infra.config import StackConfig
from infra.cost.stack import bill
from infra.phases import PHASES
from tests.unit.infra.test_config import AWS, parse


def config(phase: int, **choices: str) -> StackConfig:
    return parse(**AWS | {"phase": str(phase)} | choices)


@pytest.mark.parametrize("phase", sorted(PHASES))
def test_a_phase_keeps_its_budget(phase: int) -> None:
    assert bill(config(phase)).effective <= PHASES[phase].budget


def test_a_user_costs_less_from_phase_to_phase() -> None:
    each = [bill(config(phase)).per_user for phase in sorted(PHASES)]
    assert each == sorted(each, reverse=True)
    assert len(set(each)) == len(each)


@pytest.mark.parametrize("phase", [0, 1])
def test_the_first_phases_need_no_commitment(phase: int) -> None:
    assert bill(config(phase, commitments="none")).effective <= PHASES[phase].budget


def test_phase_2_needs_commitments_and_says_what_they_give_up() -> None:
    found = bill(config(2))
    assert found.on_demand > PHASES[2].budget
    said = " ".join(one for line in found.lines for one in line.line.gives_up)
    assert "paid for a year" in said
    assert "failover" in said


def test_postgresql_on_the_cluster_fits_phase_2_as_well() -> None:
    assert bill(config(2, postgresHosting="kubernetes")).effective <= PHASES[2].budget


@pytest.mark.parametrize("choice", [{"multiAz": "true"}, {"nat": "gateway"}, {"kubernetes": "eks"}])
def test_a_choice_that_costs_more_is_on_the_bill(choice: dict[str, str]) -> None:
    assert bill(config(2, **choice)).effective > bill(config(2)).effective


def test_a_local_stack_costs_what_its_phase_costs_on_aws() -> None:
    assert bill(parse(phase="1")).effective == pytest.approx(bill(config(1)).effective)


def test_what_runs_elsewhere_is_on_another_bill() -> None:
    components = bill(
        config(1, databaseUrl="postgresql://x/y", redisUrl="rediss://x:6379")
    ).by_component()
    assert not {"postgres", "redis"} & components.keys()
