"""A Bluesky network of its own for each stack: one Node process beside a PostgreSQL server."""

import json
from pathlib import Path

import pulumi

from components.bluesky.ports import BlueskyArgs, BlueskyOutputs
from components.postgres import Postgres, PostgresArgs
from components.target import LocalTarget
from infra.local import binaries
from infra.local.resources import HttpProbe, Process, Secret, Stop
from infra.phases import PostgresSize

NETWORK = Path(__file__).parent / "network"
HANDLE = "etcetera.test"
NODE_OPTIONS = ["--max-semi-space-size=8"]  # saves 100 MB with Node 24


def build(
    name: str, args: BlueskyArgs, target: LocalTarget, opts: pulumi.ResourceOptions
) -> BlueskyOutputs:
    if args.account is not None:
        return BlueskyOutputs.of(args.account)
    # Not the stack's own database: this stands for the outside world, which does not fail with us.
    database = Postgres(
        "bluesky-postgres",
        PostgresArgs("bluesky", PostgresSize(max_connections=60, shared_buffers_mb=32)),
        target,
        opts,
    )
    password = Secret(f"{name}-bot-password", root=str(target.root), opts=opts)
    couriers: pulumi.Output[list[dict[str, str]]] = pulumi.Output.all(
        *(
            pulumi.Output.all(
                handle=f"etcetera-courier-{number}.test",
                password=Secret(
                    f"{name}-courier-{number}-password", root=str(target.root), opts=opts
                ).value,
            )
            for number in range(1, args.bot_accounts)
        )
    )
    pds, appview = target.port("bluesky-pds"), target.port("bluesky-appview")
    network = Process(
        name,
        root=str(target.root),
        command=[
            str(binaries.node(target.binaries.node)),
            *NODE_OPTIONS,
            str(NETWORK / "network.mjs"),
        ],
        environment={
            "PLC_PORT": str(target.port("bluesky-plc")),
            "PDS_PORT": str(pds),
            "APPVIEW_PORT": str(appview),
            "DATA_FOLDER": "{folder}/data",
            "RATE_LIMITS": "on" if args.limits else "off",
            "DATABASE_URL": database.outputs.url,
            "ACCOUNTS": pulumi.Output.all(password.value, couriers).apply(
                lambda known: json.dumps(
                    [
                        _account(
                            {"handle": HANDLE, "password": known[0]},
                            "Etcetera.Exchange",
                            "Mention me with “claim” for an object a day.",
                        ),
                        *(
                            _account(
                                courier,
                                f"Etcetera.Exchange, courier {number}",
                                f"I answer for @{HANDLE}. Please mention that account, not me.",
                            )
                            for number, courier in enumerate(known[1], start=1)
                        ),
                    ]
                )
            ),
        },
        ports=[target.port("bluesky-plc"), pds, appview],
        ready=HttpProbe(http=f"http://127.0.0.1:{pds}/readyz"),
        ready_timeout_seconds=90,
        stop=Stop(signal="SIGTERM", timeout_seconds=10),
        opts=opts,
    )

    def once_ready(value: str) -> pulumi.Output[str]:
        return network.urn.apply(lambda _: value)

    return BlueskyOutputs(
        url=once_ready(f"http://localhost:{pds}"),
        address=pulumi.Output.from_input(f"http://localhost:{pds}"),
        handle=pulumi.Output.from_input(HANDLE),
        password=password.value,
        couriers=pulumi.Output.secret(couriers.apply(json.dumps)),
        endpoints={
            "bluesky_url": once_ready(f"http://localhost:{pds}"),
            "bluesky_appview_url": once_ready(f"http://localhost:{appview}"),
        },
    )


def _account(
    credentials: dict[str, str], display_name: str, description: str
) -> dict[str, str | bool]:
    profile = {"displayName": display_name, "description": description}
    return {**credentials, **profile, "bot": True}
