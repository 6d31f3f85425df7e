"""nginx before the app, as a process of this machine."""

from pathlib import Path

import pulumi

from components import nginx
from components.edge.ports import EdgeArgs, EdgeOutputs
from components.target import LocalTarget
from infra.local.resources import TcpProbe

CONFIGURATION = nginx.Configuration((Path(__file__).parent / "nginx.conf").read_text())
BEHIND_CDN = (Path(__file__).parent / "behind_cdn.conf").read_text()


def build(
    name: str, args: EdgeArgs, target: LocalTarget, opts: pulumi.ResourceOptions
) -> EdgeOutputs:
    port = target.port("edge-behind-cdn" if args.behind_cdn else "public")
    server = nginx.process(
        name,
        target,
        configuration=pulumi.Output.from_input(args.upstream).apply(
            lambda upstream: configuration(upstream, port, behind_cdn=args.behind_cdn)
        ),
        ports=[port],
        ready=f"http://127.0.0.1:{port}/healthz",
        # Metrics are for nobody outside, which the edge says without asking the site.
        alive=TcpProbe(tcp=port, send="GET /metrics HTTP/1.0\r\n\r\n", expect="^HTTP/1.1 404"),
        opts=opts,
    )
    return EdgeOutputs(
        url=server.urn.apply(lambda _: f"http://localhost:{port}"),
        address=server.urn.apply(lambda _: f"127.0.0.1:{port}"),
    )


def configuration(upstream: str, port: int, *, behind_cdn: bool) -> str:
    return CONFIGURATION.substitute(
        port=port,
        upstream=upstream,
        behind_cdn=BEHIND_CDN if behind_cdn else "",
        # Who meets the visitor first names the request.
        request_id="$http_x_request_id" if behind_cdn else "$request_id",
    )
