"""Passwords that nobody needs to remember, for stacks on AWS."""

import pulumi
import pulumi_random as random


def generate(name: str, length: int, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
    """So many letters and digits, which need no quoting in a URL; secret. 32 hold 190 bits."""
    result: pulumi.Output[str] = random.RandomPassword(
        name, length=length, special=False, opts=opts
    ).result
    return pulumi.Output.secret(result)
