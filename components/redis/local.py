"""Valkey on this machine: one server, or a cluster when there is more than one shard."""

import pulumi

from components.redis import cluster, server
from components.redis.ports import RedisArgs, RedisOutputs
from components.target import LocalTarget
from infra.local.resources import Secret


def build(
    name: str, args: RedisArgs, target: LocalTarget, opts: pulumi.ResourceOptions
) -> RedisOutputs:
    if args.external_url is not None:
        return RedisOutputs(url=pulumi.Output.secret(args.external_url))
    password = Secret(f"{name}-password", root=str(target.root), opts=opts).value
    if args.size.shards > 1:
        url = cluster.build(name, args, password, target, opts)
    else:
        url = _single(name, args, password, target, opts)
    return RedisOutputs(url=pulumi.Output.secret(url))


def _single(
    name: str,
    args: RedisArgs,
    password: pulumi.Output[str],
    target: LocalTarget,
    opts: pulumi.ResourceOptions,
) -> pulumi.Output[str]:
    port = target.port(name)
    process = server.run(name, port, password, args.size.max_memory_mb, target, opts)
    return pulumi.Output.all(process.urn, password).apply(
        lambda known: f"redis://:{known[1]}@127.0.0.1:{port}/0"
    )
