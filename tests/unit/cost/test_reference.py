"""Decides that the costs people read are those that are computed."""

from infra.cost import reference


def test_the_document_says_what_is_computed() -> None:
    assert reference.DOCUMENT.read_text() == reference.document()
