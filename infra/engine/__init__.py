"""Runs the Pulumi program on machines that have no Pulumi CLI, for the local target.

It keeps no state: desired is what the program registers, actual is what the local provider finds,
and what is no longer declared is removed. So it takes over what the CLI has deployed, and the
reverse. With the CLI installed, `scripts/pulumi` hands over to it.
"""
