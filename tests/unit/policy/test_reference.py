"""The documentation of the policies says what the code does."""

from infra.policy.reference import DOCUMENT, document


def test_every_rule_is_documented_as_it_is() -> None:
    text = DOCUMENT.read_text()
    assert text == document(text), "run: .venv/bin/python -m infra.policy.reference"
