"""The documentation of the configuration says what the code does."""

from infra.reference import DOCUMENT, configuration


def test_every_key_is_documented_as_it_is() -> None:
    assert DOCUMENT.read_text() == configuration(), "run: .venv/bin/python -m infra.reference"
