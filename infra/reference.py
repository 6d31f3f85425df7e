"""Writes docs/configuration.md from the model: `python -m infra.reference`."""

from pathlib import Path

from pydantic.alias_generators import to_camel

from infra.config import PROJECT, StackConfig
from infra.config.aws import AwsKeys
from infra.config.local import LocalKeys

DOCUMENT = Path(__file__).parents[1] / "docs" / "configuration.md"

HEAD = f"""\
# Configuration of a stack

Written by `python -m infra.reference` from `infra/config/`; a test compares the two.

Set a key with `./scripts/pulumi config set KEY VALUE --stack STACK`, a secret one with `--secret`
(without a VALUE it is read from standard input, so that no shell remembers it). Keys are in the
namespace `{PROJECT}`.
"""
TABLE = "| Key | Default | Meaning |\n|---|---|---|\n"


def configuration() -> str:
    """The text of docs/configuration.md."""
    fields = StackConfig.model_fields
    special = LocalKeys.model_fields.keys() | AwsKeys.model_fields.keys()
    sections = {
        "All stacks": [name for name in fields if name not in special],
        "Stacks on this machine (`target: local`)": list(LocalKeys.model_fields),
        "Stacks on AWS (`target: aws`)": list(AwsKeys.model_fields),
    }
    return HEAD + "".join(
        f"\n## {title}\n\n{TABLE}" + "".join(map(_row, names)) for title, names in sections.items()
    )


def _row(name: str) -> str:
    field = StackConfig.model_fields[name]
    default = "required" if field.is_required() else field.default
    shown = "" if default in (None, ()) else f"`{default}`" if default != "required" else default
    return f"| `{to_camel(name)}` | {shown} | {field.description} |\n"


if __name__ == "__main__":
    DOCUMENT.write_text(configuration())
