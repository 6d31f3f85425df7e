"""Writes docs/configuration.md from the model: `python -m infra.reference`."""

from pathlib import Path

from pydantic.alias_generators import to_camel

from infra.config import PROJECT, StackConfig

DOCUMENT = Path(__file__).parents[1] / "docs" / "configuration.md"

HEAD = f"""\
# Configuration of a stack

Written by `python -m infra.reference` from `infra/config.py`; a test compares the two.

Set a key with `./scripts/pulumi config set KEY VALUE --stack STACK`, a secret one with `--secret`
(without a VALUE it is read from standard input, so that no shell remembers it). Keys are in the
namespace `{PROJECT}`.

| Key | Default | Meaning |
|---|---|---|
"""


def configuration() -> str:
    """The text of docs/configuration.md."""
    rows = []
    for name, field in StackConfig.model_fields.items():
        default = "required" if field.is_required() else field.default
        shown = "" if default is None else f"`{default}`" if default != "required" else default
        rows.append(f"| `{to_camel(name)}` | {shown} | {field.description} |")
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(configuration())
