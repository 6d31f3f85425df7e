"""Keys of stacks that run on AWS. Sizes that are left out are the phase's (`infra.aws_sizes`)."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from infra.aws_sizes import DatabaseHosting, Distribution, Nat
from infra.config.values import Exemptions, Image, Keys, Network, OperatorNetworks

DOMAIN = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$"
# What a stack cannot do without; the rest has defaults.
REQUIRED = ("account_id", "domain", "alert_email", "operator_cidrs", "image")


class AwsKeys(Keys):
    """Refused for other targets."""

    account_id: str | None = Field(
        default=None,
        pattern=r"^\d{12}$",
        description="the AWS account, whatever credentials are at hand; use its 12 digits, "
        "as `aws sts get-caller-identity` prints them",
    )
    region: str = Field(
        default="us-east-1",
        pattern=r"^[a-z]{2}(-[a-z]+)+-\d$",
        description="AWS region; use one with a price level in infra/cost/regions.yaml, "
        "such as us-east-1",
    )
    domain: str | None = Field(
        default=None,
        pattern=DOMAIN,
        description="the host name people open, such as etcetera.example.com",
    )
    hosted_zone_id: str | None = Field(
        default=None,
        pattern=r"^Z[A-Z0-9]+$",
        description="an existing Route 53 zone of the domain; leave it out to make one",
    )
    owner: str = Field(
        default="platform",
        min_length=1,
        max_length=64,
        description="who answers for the stack: a tag of every resource; use a team's name",
    )
    environment: str = Field(
        default="production",
        pattern=r"^[a-z][a-z0-9-]{0,31}$",
        description="a tag of every resource; use production, staging or the like",
    )
    alert_email: str | None = Field(
        default=None,
        pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
        description="hears of alarms and of spending; use an e-mail address",
    )
    operator_cidrs: OperatorNetworks = Field(
        default=(),
        description="networks that may reach the cluster's API; use a list such as "
        '["203.0.113.7/32"]',
    )
    image: Image | None = Field(
        default=None,
        description="the app's container image; use registry/name@sha256:… as scripts/image "
        "prints it",
    )
    image_pull_secret: SecretStr | None = Field(
        default=None,
        description="a Docker config.json for a registry that wants a login; set it with "
        "`config set --secret etcetera:imagePullSecret`",
    )

    vpc_cidr: Network | None = Field(
        default=None,
        description="addresses of the stack's network; use a private /16 to /20, such as "
        "10.20.0.0/16",
    )
    zones: Annotated[int, Field(ge=2, le=3)] | None = Field(
        default=None, description="availability zones; use 2 or 3"
    )
    nat: Nat | None = Field(
        default=None,
        description="how machines reach the internet; use none (public addresses, closed "
        "security groups) or gateway (private machines, 33 dollars a month)",
    )
    kubernetes: Distribution | None = Field(
        default=None, description="the cluster; use k3s, or from phase 2 on eks"
    )
    node_type: str | None = Field(
        default=None,
        description="type of the machines that run the site; use one such as t4g.large",
    )
    worker_type: str | None = Field(
        default=None,
        description="type of the spot machines that run workers; use one such as t4g.small",
    )

    postgres_hosting: DatabaseHosting | None = Field(
        default=None,
        description="who runs PostgreSQL; use rds, or kubernetes (CloudNativePG: fails over by "
        "itself, and is yours to look after)",
    )
    database_class: str | None = Field(
        default=None, description="class of the primary; use one such as db.t4g.large"
    )
    replica_class: str | None = Field(
        default=None, description="class of the read replicas; use one such as db.t4g.small"
    )
    database_replicas: Annotated[int, Field(ge=0, le=5)] | None = Field(
        default=None, description="read replicas, from phase 2 on; use 1..5"
    )
    database_storage: Annotated[int, Field(ge=20, le=16_384)] | None = Field(
        default=None, description="gigabytes of the database's disk; use 20..16384"
    )
    multi_az: bool | None = Field(
        default=None,
        description="a standby of the primary in another zone (doubles its price); use true or "
        "false",
    )
    backup_days: Annotated[int, Field(ge=7, le=35)] | None = Field(
        default=None, description="days that one can go back to; use 7..35"
    )
    redis_node_type: str | None = Field(
        default=None, description="type of the cache's nodes; use one such as cache.t4g.small"
    )
    commitments: Literal["phase", "none"] = Field(
        default="phase",
        description="whether prices count the commitments of a year that the phase's budget needs; "
        "use phase or none (all on demand)",
    )
    policy_exceptions: Exemptions = Field(
        default=(),
        description="what policies let through for a while; use a list such as "
        '[{"rule": "pinned-image", "resource": "web", "reason": "a trial of …", '
        '"until": "2027-01-31"}]',
    )
