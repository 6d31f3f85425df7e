"""Keys of stacks that run on this machine."""

from typing import Annotated, Literal

from pydantic import Field

from infra.config.values import AbsolutePath, Keys, Port, WebUrl


class LocalKeys(Keys):
    """Refused for other targets."""

    port_base: Annotated[int, Field(le=65_000), Port] | None = Field(
        default=None,
        description="first of the 100 loopback ports of a local stack; use 1024..65000, "
        "or leave it out for 8000 + 100 x phase",
    )
    data_dir: AbsolutePath | None = Field(
        default=None,
        description="folder of a local stack's data; use an absolute path, or leave it out for "
        ".local/<stack> in the repository",
    )
    public_url: WebUrl | None = Field(
        default=None,
        description="address people open; use http(s)://host, or leave it out for the edge's own",
    )
    bluesky_limits: Literal["on", "off"] = Field(
        default="on",
        description="whether the network on this machine has the write limits of bsky.social and "
        "the bot keeps to them; use on, or off for load and fault tests",
    )
    postgres_binaries: AbsolutePath | None = Field(
        default=None,
        description="folder with initdb and postgres, such as /usr/lib/postgresql/17/bin; "
        "leave it out for the bundled ones",
    )
    etcd_binary: AbsolutePath | None = Field(
        default=None,
        description="an etcd (from phase 2, for PostgreSQL); leave it out for the bundled one",
    )
    redis_binary: AbsolutePath | None = Field(
        default=None,
        description="a redis-server or valkey-server; leave it out for the bundled one",
    )
    nginx_binary: AbsolutePath | None = Field(
        default=None, description="an nginx; leave it out for the bundled one"
    )
    node_binary: AbsolutePath | None = Field(
        default=None, description="Node.js 20 or newer; leave it out to look on PATH"
    )
