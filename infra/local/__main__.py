"""What the Pulumi engine starts: its address comes as the first argument that is no option."""

import sys

from infra.local.plugin import serve

if __name__ == "__main__":
    serve(next(argument for argument in sys.argv[1:] if not argument.startswith("-")))
