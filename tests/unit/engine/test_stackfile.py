"""Stack files are read and written as the Pulumi CLI does, secrets included."""

from pathlib import Path

import pytest

from infra.config import ConfigError
from infra.engine.stackfile import StackFile, Value, names

# Written by Pulumi 3.260 with an empty passphrase.
BY_THE_CLI = """\
# A comment of a person.
encryptionsalt: v1:PfH0vF8msz0=:v1:9yM6jdM0pmrb/OBR:LoqgJzgKHehtZ74OWllpqfFXobn/Aw==
config:
  etcetera:redisUrl:
    secure: v1:w2jrEJxOYekJTxvI:G7oK8lqruc9h61lxJIy/M1BB6nkyZIXdDIwpVuQlBoik+TSWsQ==
  etcetera:phase: "1"
"""


@pytest.fixture(autouse=True)
def _empty_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.s1.yaml").write_text(BY_THE_CLI)
    return tmp_path


def test_a_secret_sealed_by_the_cli_opens(folder: Path) -> None:
    values = StackFile.open("s1", folder).values()
    assert values["etcetera:redisUrl"] == Value("rediss://:hunter2@x:1", secret=True)
    assert values["etcetera:phase"] == Value("1")


def test_a_wrong_passphrase_is_explained(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "wrong")
    with pytest.raises(ConfigError, match="PULUMI_CONFIG_PASSPHRASE"):
        StackFile.open("s1", folder).values()


def test_a_secret_is_sealed_in_the_file_and_opens_again(folder: Path) -> None:
    StackFile.open("s1", folder).set("databaseUrl", Value("postgresql://u:pw@h/d", secret=True))
    assert "pw@h" not in (folder / "Pulumi.s1.yaml").read_text()
    values = StackFile.open("s1", folder).values()
    assert values["etcetera:databaseUrl"] == Value("postgresql://u:pw@h/d", secret=True)


def test_comments_survive_a_change(folder: Path) -> None:
    StackFile.open("s1", folder).set("workers", Value("3"))
    assert "# A comment of a person." in (folder / "Pulumi.s1.yaml").read_text()


def test_a_value_can_be_removed(folder: Path) -> None:
    file = StackFile.open("s1", folder)
    file.remove("redisUrl")
    assert set(StackFile.open("s1", folder).values()) == {"etcetera:phase"}


def test_an_unknown_stack_is_refused_with_the_known_ones(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"no stack other \(there are: s1\)"):
        StackFile.open("other", folder)


def test_a_name_cannot_leave_the_folder(folder: Path) -> None:
    with pytest.raises(ConfigError, match="no stack name"):
        StackFile.create("../evil", folder)


def test_a_new_stack_is_listed(folder: Path) -> None:
    StackFile.create("s2", folder)
    assert names(folder) == ["s1", "s2"]


def test_a_broken_file_is_refused_with_its_path(folder: Path) -> None:
    (folder / "Pulumi.s1.yaml").write_text("config: [")
    with pytest.raises(ConfigError, match=r"Pulumi\.s1\.yaml cannot be read"):
        StackFile.open("s1", folder)
