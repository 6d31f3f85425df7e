"""Decides what `scripts/purge` does and says, with a real CDN."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from components.cdn.purge import main
from tests.integration.cdn.conftest import TOKEN, Cdn

pytestmark = pytest.mark.integration


def purge(cdn: Cdn, *arguments: str, token: str = TOKEN) -> Result:
    outputs = {"purge_url": f"{cdn.operations}/purge", "purge_token": token}
    return CliRunner().invoke(main, ["test", *arguments], input=json.dumps(outputs))


def test_addresses_are_forgotten_one_by_one(cdn: Cdn) -> None:
    for path in ("/a", "/b"):
        cdn.get(path)
    done = purge(cdn, "/a", "/c")
    assert (done.exit_code, done.output) == (0, "/a: forgotten\n/c: was not kept\n")
    assert (cdn.cache("/a"), cdn.cache("/b")) == ("miss", "hit")


def test_all_are_forgotten_only_when_asked_for(cdn: Cdn) -> None:
    cdn.get("/a")
    for arguments in ((), ("a",), ("/a", "--all")):
        assert purge(cdn, *arguments).exit_code == 2
    assert cdn.cache("/a") == "hit"
    assert purge(cdn, "--all").output == "everything is forgotten\n"
    assert cdn.cache("/a") == "miss"


def test_a_refusal_is_said_without_the_token(cdn: Cdn) -> None:
    done = purge(cdn, "--all", token="not-the-one")
    assert done.exit_code == 1
    assert "401" in done.output
    assert "not-the-one" not in done.output


def test_a_stack_without_a_cdn_says_so() -> None:
    done = CliRunner().invoke(main, ["phase1", "--all"], input='{"purge_url": ""}')
    assert (done.exit_code, "phase1 has no CDN" in done.output) == (1, True)
