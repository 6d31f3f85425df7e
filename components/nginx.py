"""nginx as a process of this machine, for the components that run one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template

import pulumi

from components.target import LocalTarget
from infra.local import binaries
from infra.local.resources import HttpProbe, Liveness, Probe, Process, Stop

UNAVAILABLE = (Path(__file__).parent / "edge" / "unavailable.html").read_text()


class Configuration(Template):
    """`@{name}`, since nginx writes its own variables with a dollar sign; `@@` is one `@`."""

    delimiter = "@"


def process(
    name: str,
    target: LocalTarget,
    *,
    configuration: pulumi.Input[str],
    ports: Sequence[int],
    ready: str,
    alive: Probe,
    files: Mapping[str, pulumi.Input[str]] | None = None,
    opts: pulumi.ResourceOptions,
) -> Process:
    """Ready when a GET of the URL `ready` succeeds. Its folder has `pages/unavailable.html`.

    `alive` asks nginx itself: what is behind it may hang without its being at fault.
    """
    return Process(
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
            "nginx.conf": configuration,
            "pages/unavailable.html": UNAVAILABLE,
            **(files or {}),
        },
        ports=list(ports),
        ready=HttpProbe(http=ready),
        liveness=Liveness(interval_seconds=1, failures=4, probes=[alive]),
        # SIGQUIT lets requests under way finish.
        stop=Stop(signal="SIGQUIT", timeout_seconds=15),
        reload_signal="SIGHUP",
        user_namespace=True,
        opts=opts,
    )
