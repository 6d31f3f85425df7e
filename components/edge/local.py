"""nginx before the app, as a process of this machine."""

from pathlib import Path
from string import Template

import pulumi

from components.edge.ports import EdgeArgs, EdgeOutputs
from components.target import LocalTarget
from infra.local import binaries
from infra.local.resources import HttpProbe, Process, Stop


class _NginxTemplate(Template):
    """`@{name}`, since nginx itself writes its variables with a dollar sign."""

    delimiter = "@"


CONFIGURATION = _NginxTemplate((Path(__file__).parent / "nginx.conf").read_text())
UNAVAILABLE = (Path(__file__).parent / "unavailable.html").read_text()


def build(
    name: str, args: EdgeArgs, target: LocalTarget, opts: pulumi.ResourceOptions
) -> EdgeOutputs:
    port = target.port("edge-behind-cdn" if args.behind_cdn else "public")
    server = Process(
        name,
        root=str(target.root),
        command=[
            str(binaries.nginx(target.binaries.nginx)),
            "-p",
            "{folder}",
            "-c",
            "{folder}/nginx.conf",
            "-e",
            "stderr",
        ],
        files={
            "nginx.conf": pulumi.Output.from_input(args.upstream).apply(
                lambda upstream: CONFIGURATION.substitute(port=port, upstream=upstream)
            ),
            "pages/unavailable.html": UNAVAILABLE,
        },
        ports=[port],
        ready=HttpProbe(http=f"http://127.0.0.1:{port}/healthz"),
        # SIGQUIT lets requests under way finish.
        stop=Stop(signal="SIGQUIT", timeout_seconds=15),
        reload_signal="SIGHUP",
        user_namespace=True,
        opts=opts,
    )
    return EdgeOutputs(url=server.urn.apply(lambda _: f"http://localhost:{port}"))
