"""What kills a part of the platform, while people use it, and what that costs them.

A phase 2 stack of its own runs with its bot on a local Bluesky network behind a proxy that can
misbehave (`proxy`). Writers, readers and people who mention the bot go on all the time (`traffic`);
each write that was acknowledged is in a file outside the stack (`ledger`). Then a part is killed or
stopped (`cases`), and afterwards everything is counted (`audit`).

`scripts/test` does a few of the cases once, `scripts/test faults` all of them five times.
"""
