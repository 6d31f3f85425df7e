"""Decides which inputs the local target accepts and when two specs are the same.

What is done with a spec is left to the integration tests.
"""

import pytest

from infra.local.operations import Failure, check
from infra.local.spec import UNKNOWN, ProcessSpec, changed, failures, parse

PROCESS = "local:index:Process"
GOOD = {"root": "/srv/stack", "command": ["sleep", "1"]}


@pytest.mark.parametrize(
    ("inputs", "path"),
    [
        ({"bogus": 1}, "bogus"),
        ({"root": "relative/folder"}, "root"),
        ({"root": "/home"}, "root"),
        ({"command": []}, "command"),
        ({"command": "sleep 1"}, "command"),
        ({"command": ["sleep", 1]}, "command[1]"),
        ({"ports": [21000, 0]}, "ports[1]"),
        ({"ports": [70000]}, "ports[0]"),
        ({"ports": [80.5]}, "ports[0]"),
        ({"ports": ["80"]}, "ports[0]"),
        ({"environment": {"A": 1}}, "environment.A"),
        ({"files": {"../escape": ""}}, 'files["../escape"]'),
        ({"files": {"/etc/passwd": ""}}, 'files["/etc/passwd"]'),
        ({"initialize": [{"command": ["x"]}]}, "initialize[0].creates"),
        ({"initialize": [{"command": ["x"], "creates": "/x"}]}, "initialize[0].creates"),
        ({"ready": {}}, "ready"),
        ({"ready": {"tcp": 80, "http": "http://x"}}, "ready"),
        ({"ready": {"http": "http://x", "expect": "y"}}, "ready"),
        ({"ready": {"tcp": 80, "expect": "("}}, "ready.expect"),
        ({"stop": {"signal": "TERM"}}, "stop.signal"),
        ({"stop": {"timeoutSeconds": 0}}, "stop.timeoutSeconds"),
        ({"readyTimeoutSeconds": -1}, "readyTimeoutSeconds"),
        ({"userNamespace": "yes"}, "userNamespace"),
        ({"pool": {"name": "workers"}}, "pool.ordinal"),
        ({"pool": {"name": "workers", "ordinal": 0}}, "pool.ordinal"),
        ({"pool": {"name": "../workers", "ordinal": 1}}, "pool.name"),
        ({"pool": {"name": "workers", "ordinal": 1, "least": -1}}, "pool.least"),
    ],
)
def test_bad_input_is_refused_with_the_path_of_the_property(
    inputs: dict[str, object], path: str
) -> None:
    assert [where for where, _ in failures(PROCESS, GOOD | inputs)] == [path]


def test_a_missing_command_is_refused() -> None:
    assert [where for where, _ in failures(PROCESS, {"root": "/srv/stack"})] == ["command"]


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a b", "x" * 101])
def test_a_name_that_is_no_file_name_is_refused(name: str) -> None:
    assert len(check(PROCESS, name, GOOD)) == 1


def test_a_type_that_the_provider_does_not_have_is_refused() -> None:
    assert isinstance(check("local:index:Server", "x", {})[0], Failure)


@pytest.mark.parametrize("key", ["root", "command", "environment", "ports", "ready", "stop"])
def test_unknown_values_are_not_judged(key: str) -> None:
    assert failures(PROCESS, GOOD | {key: UNKNOWN}) == []


def test_what_is_wrong_beside_an_unknown_value_is_still_found() -> None:
    inputs = GOOD | {"ports": [UNKNOWN, 0], "environment": {"URL": UNKNOWN}}
    assert [where for where, _ in failures(PROCESS, inputs)] == ["ports[1]"]


def test_numbers_that_arrive_as_floats_and_nulls_make_the_same_spec() -> None:
    one = parse(PROCESS, GOOD | {"ports": [80], "stop": {"timeoutSeconds": 10}})
    other = parse(
        PROCESS, GOOD | {"ports": [80.0], "ready": None, "stop": {"timeoutSeconds": 10.0}}
    )
    assert one.digest() == other.digest()


def test_a_value_equal_to_the_default_is_no_change() -> None:
    assert changed(PROCESS, GOOD, GOOD | {"readyTimeoutSeconds": 60.0, "files": {}}) == []


def test_changes_are_named_by_their_top_level_key() -> None:
    after = GOOD | {"environment": {"A": "b"}, "stop": {"signal": "SIGINT"}}
    assert changed(PROCESS, GOOD, after) == ["environment", "stop"]


def _running(inputs: dict[str, object]) -> str:
    spec = parse(PROCESS, GOOD | inputs)
    assert isinstance(spec, ProcessSpec)
    return spec.running_digest()


@pytest.mark.parametrize(
    "inputs",
    [
        {"command": ["sleep", "2"]},
        {"environment": {"A": "b"}},
        {"triggers": {"version": "2"}},
        {"files": {"conf": "x"}},
        {"userNamespace": True},
    ],
)
def test_what_a_process_started_with_needs_a_restart(inputs: dict[str, object]) -> None:
    assert _running(inputs) != _running({})


@pytest.mark.parametrize(
    "inputs",
    [
        {"ready": {"tcp": 80}},
        {"liveness": {"intervalSeconds": 1}},
        {"stop": {"signal": "SIGINT"}},
        {"portHint": "set x"},
    ],
)
def test_what_only_the_supervisor_uses_needs_no_restart(inputs: dict[str, object]) -> None:
    assert _running(inputs) == _running({})


def test_files_need_no_restart_when_the_process_can_reload_them() -> None:
    before = _running({"reloadSignal": "SIGHUP", "files": {"conf": "x"}})
    assert _running({"reloadSignal": "SIGHUP", "files": {"conf": "y"}}) == before
