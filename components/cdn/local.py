"""nginx with a cache on disk as a process of this machine; see docs/decisions/0010."""

from pathlib import Path

import pulumi

from components import nginx
from components.cdn.ports import CdnArgs, CdnOutputs
from components.target import LocalTarget
from infra.local.resources import HttpProbe, Secret
from infra.phases import CdnSize

CONFIGURATION = nginx.Configuration((Path(__file__).parent / "nginx.conf").read_text())
SCRIPT = (Path(__file__).parent / "cdn.js").read_text()


def build(
    name: str, args: CdnArgs, target: LocalTarget, opts: pulumi.ResourceOptions
) -> CdnOutputs:
    if args.size is None:
        raise ValueError("a CDN on this machine is a cache, so it needs a size")
    size = args.size
    port, operations = target.port("public"), target.port("cdn-operations")
    token = Secret(f"{name}-purge-token", root=str(target.root), opts=opts)
    server = nginx.process(
        name,
        target,
        configuration=pulumi.Output.from_input(args.origin).apply(
            lambda origin: configuration(size, origin, port, operations)
        ),
        files={"cdn.js": SCRIPT, "token": token.value},
        ports=[port, operations],
        # Its own health and not the site's: without an origin it still has what it kept.
        ready=f"http://127.0.0.1:{operations}/healthz",
        alive=HttpProbe(http=f"http://127.0.0.1:{operations}/healthz"),
        opts=opts,
    )

    def once_ready(value: str) -> pulumi.Output[str]:
        return server.urn.apply(lambda _: value)

    return CdnOutputs(
        url=once_ready(f"http://localhost:{port}"),
        metrics=once_ready(f"http://127.0.0.1:{operations}/metrics"),
        purge_url=once_ready(f"http://127.0.0.1:{operations}/purge"),
        purge_token=pulumi.Output.secret(token.value),
        distribution_id=pulumi.Output.from_input(""),
    )


def configuration(size: CdnSize, origin: str, port: int, operations: int) -> str:
    return CONFIGURATION.substitute(
        origin=origin,
        port=port,
        operations=operations,
        cache_mb=size.cache_mb,
        # A megabyte has 8000 addresses: enough for answers of 2 kB each.
        keys_mb=max(1, size.cache_mb // 16),
    )
