"""Decides what PostgreSQL, Valkey and Bluesky are on AWS: guarded, priced, watched, secret where
they must be, and the same servers from phase to phase. That AWS takes these arguments is decided by
the provider's own rules (.ci/run); what CloudNativePG makes of its objects by no test here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from functools import cache
from typing import Any

import pulumi
import pytest
from psycopg.conninfo import conninfo_to_dict

from app import hosts
from app import redis as client
from components.bluesky import Account, Bluesky, BlueskyArgs
from components.postgres import Postgres, PostgresArgs, parameters
from components.postgres import cost as postgres_cost
from components.redis import Redis, RedisArgs
from components.redis import cost as redis_cost
from infra.aws_sizes import AWS_SIZES, SELF_HOSTED_CLUSTERS, AwsSize, DatabaseHosting
from infra.cost.book import PriceBook
from infra.cost.lines import CostLine
from infra.cost.report import Bill
from infra.engine.comparison import compare
from infra.engine.offline import Recording
from infra.phases import PHASES
from infra.policy.graph import Resource
from infra.policy.rule import judge
from infra.policy.rules import rules
from tests.program.aws import stubs

INSTANCE = "aws:rds/instance:Instance"
GROUP = "aws:elasticache/replicationGroup:ReplicationGroup"
CLUSTER = "kubernetes:postgresql.cnpg.io/v1:Cluster"
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
PHASES_ON_AWS = sorted(AWS_SIZES)
HOSTINGS: tuple[DatabaseHosting, ...] = ("rds", "kubernetes")
SHARDS = {number: size.redis.shards for number, size in AWS_SIZES.items() if size.redis}


def size_of(phase: int, hosting: DatabaseHosting, **changes: Any) -> AwsSize:
    size = AWS_SIZES[phase]
    if hosting == "kubernetes":
        size = replace(size, cluster=SELF_HOSTED_CLUSTERS.get(phase, size.cluster))
    return replace(size, postgres=replace(size.postgres, hosting=hosting, **changes))


@cache
def recorded(
    phase: int, hosting: DatabaseHosting = "rds", synchronous: bool = True, **changes: Any
) -> Recording:
    def declare() -> None:
        target = stubs.aws_target(phase, size_of(phase, hosting, **changes))
        args = PostgresArgs("etcetera", PHASES[phase].postgres, synchronous=synchronous)
        database = Postgres("postgres", args, target).outputs
        pulumi.export("url", database.url)
        pulumi.export("reader_url", database.reader_url)
        pulumi.export("replica_urls", database.replica_urls)
        pulumi.export("provision", database.provision)
        if size := PHASES[phase].redis:
            pulumi.export("redis_url", Redis("redis", RedisArgs(size), target).outputs.url)

    return stubs.record(declare)


@pytest.fixture(params=PHASES_ON_AWS)
def phase(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(params=HOSTINGS)
def hosting(request: pytest.FixtureRequest) -> DatabaseHosting:
    found: DatabaseHosting = request.param
    return found


def named(recording: Recording, type_: str, name: str) -> Resource:
    (found,) = [one for one in recording.graph.of(type_) if one.name == name]
    return found


def output(recording: Recording, name: str) -> Any:
    return recording.outputs.values[name]


def lines(phase: int, hosting: DatabaseHosting = "rds", **changes: Any) -> list[CostLine]:
    size = size_of(phase, hosting, **changes)
    found = postgres_cost.cost_lines("postgres", size.postgres)
    return found + (redis_cost.cost_lines("redis", size.redis) if size.redis else [])


def paid_for(found: list[CostLine]) -> set[str]:
    return {name for line in found for name in line.resources}


def test_all_policies_are_kept(phase: int, hosting: DatabaseHosting) -> None:
    recording = recorded(phase, hosting)
    every = rules(paid_for(lines(phase, hosting)), recording.secrets)
    found = judge(recording.graph, every, [], date(2026, 11, 1))
    assert not [str(one) for one in found]


def test_no_phase_replaces_or_removes_what_holds_data(hosting: DatabaseHosting) -> None:
    for before in PHASES_ON_AWS[:-1]:
        snapshots = (recorded(number, hosting).snapshot() for number in (before, before + 1))
        comparison = compare(*snapshots)
        assert not comparison.losses()
        assert not [one.path for one in comparison.replaced]


def test_a_standby_comes_and_goes_without_replacing_anything() -> None:
    alone, both = recorded(2).snapshot(), recorded(2, multi_az=True).snapshot()
    for before, after in ((alone, both), (both, alone)):
        assert not compare(before, after).replaced


def test_what_is_generated_is_secret_wherever_it_goes(phase: int, hosting: DatabaseHosting) -> None:
    recording = recorded(phase, hosting)
    outputs = {"url", "reader_url", "replica_urls"}
    outputs |= {"provision.ADMIN_URL", "provision.OWNER_PASSWORD"}
    outputs |= {"redis_url"} if PHASES[phase].redis else set()
    assert outputs <= set(recording.outputs.secrets)


def test_every_server_has_its_price(phase: int, hosting: DatabaseHosting) -> None:
    bill = Bill.of(PHASES[phase], lines(phase, hosting), PriceBook.load())
    assert 0 < bill.effective < PHASES[phase].budget


def test_a_standby_costs_as_much_again() -> None:
    def effective(**changes: Any) -> float:
        found = [one for one in lines(1, **changes) if one.item.startswith("rds.")]
        return Bill.of(PHASES[1], found, PriceBook.load()).effective

    assert effective(multi_az=True) == pytest.approx(2 * effective())


# -- Amazon RDS ----------------------------------------------------------------------------------


def servers(phase: int) -> list[Resource]:
    return list(recorded(phase).graph.of(INSTANCE))


def test_the_primary_is_backed_up_and_ends_with_a_snapshot_of_its_own_name(phase: int) -> None:
    primary = named(recorded(phase), INSTANCE, "postgres")
    assert primary.get("backupRetentionPeriod") >= 7
    assert primary.get("finalSnapshotIdentifier") == f"{primary.get('identifier')}-final"
    assert primary.get("identifier") != "test-postgres"  # something of it differs each time
    assert primary.protect == primary.get("deletionProtection") == (phase > 0)


def test_replicas_follow_the_primary_and_can_be_taken_away() -> None:
    primary, *replicas = sorted(servers(2), key=lambda one: one.name)
    assert len(replicas) == AWS_SIZES[2].postgres.replicas
    for replica in replicas:
        assert replica.get("replicateSourceDb") == primary.get("identifier")
        assert replica.get("skipFinalSnapshot") is True
        assert not replica.protect
        # What RDS takes from the source must not be asked for.
        assert not {"username", "password", "engine", "allocatedStorage"} & replica.inputs.keys()
    assert {replica.get("availabilityZone") for replica in replicas} == {"us-east-1a", "us-east-1b"}


def test_servers_share_their_parameters_so_that_no_replica_has_fewer_connections() -> None:
    (group,) = recorded(2).graph.of("aws:rds/parameterGroup:ParameterGroup")
    assert {one.get("parameterGroupName") for one in servers(2)} == {
        servers(2)[0].get("parameterGroupName")
    }
    values = {one["name"]: one for one in group.get("parameters")}
    wanted = PHASES[2].postgres.max_connections + parameters.HOSTS_CONNECTIONS
    assert values["max_connections"]["value"] == str(wanted)
    assert values["rds.logical_replication"]["value"] == values["rds.force_ssl"]["value"] == "1"
    # RDS refuses a static parameter that is to be applied at once.
    assert {n for n, one in values.items() if one["applyMethod"] == "pending-reboot"} == {
        "max_connections",
        "rds.logical_replication",
    }


def test_logs_are_there_before_the_server_writes_them(phase: int) -> None:
    groups = list(recorded(phase).graph.of("aws:cloudwatch/logGroup:LogGroup"))
    for server in servers(phase):
        for log in server.get("enabledCloudwatchLogsExports"):
            path = f"/aws/rds/instance/{server.get('identifier')}/{log}"
            (group,) = [one for one in groups if one.get("name") == path]
            assert group.get("retentionInDays") == 30
            assert group.get("kmsKeyId")


def test_everybody_verifies_the_server_they_reach(phase: int) -> None:
    recording = recorded(phase)
    urls = [output(recording, "url"), output(recording, "reader_url")]
    urls += [*output(recording, "replica_urls"), output(recording, "provision")["ADMIN_URL"]]
    for url in urls:
        options = conninfo_to_dict(url)
        assert options["sslmode"] == "verify-full"
        assert options["sslrootcert"] == "/etc/ssl/certs/rds.pem"


def test_the_writer_is_the_primary_and_readers_try_it_last() -> None:
    recording = recorded(2)
    (primary,) = hosts.names(output(recording, "url"))
    read = hosts.names(output(recording, "reader_url"))
    assert len(read) == 3
    # Its answers are made up with the names of the resources in them.
    assert "replica" not in primary
    assert read[-1] == primary
    one_by_one = [hosts.names(url) for url in output(recording, "replica_urls")]
    assert [name for (name,) in one_by_one] == read
    assert conninfo_to_dict(output(recording, "reader_url"))["target_session_attrs"] == (
        "prefer-standby"
    )


def test_the_app_gets_no_administrator(phase: int) -> None:
    recording = recorded(phase)
    provision = output(recording, "provision")
    admin, owner = (
        conninfo_to_dict(provision["ADMIN_URL"]),
        conninfo_to_dict(output(recording, "url")),
    )
    assert owner["user"] == provision["OWNER"] == provision["DATABASE"] == owner["dbname"]
    assert owner["password"] == provision["OWNER_PASSWORD"] != admin["password"]
    kept = json.loads(
        named(
            recording, "aws:secretsmanager/secretVersion:SecretVersion", "postgres-admin-value"
        ).get("secretString")
    )
    assert (kept["username"], kept["password"]) == (admin["user"], admin["password"])


def test_only_machines_of_the_cluster_reach_the_data(phase: int) -> None:
    recording = recorded(phase)
    for group in recording.graph.of("aws:ec2/securityGroup:SecurityGroup"):
        assert not {"ingress", "egress"} & group.inputs.keys()
    ingress = list(recording.graph.of("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"))
    assert {one.get("referencedSecurityGroupId") for one in ingress} == {"sg-1"}
    assert {one.get("fromPort") for one in ingress} <= {5432, 6379}
    assert not list(recording.graph.of("aws:vpc/securityGroupEgressRule:*"))


def test_every_server_is_watched(phase: int) -> None:
    watched: dict[str, set[str]] = {}
    for alarm in recorded(phase).graph.of(ALARM):
        if alarm.get("namespace") == "AWS/RDS":
            dimensions = alarm.get("dimensions")
            watched.setdefault(dimensions["DBInstanceIdentifier"], set()).add(
                alarm.get("metricName")
            )
            assert alarm.get("alarmActions")
            assert alarm.get("alarmDescription")
    for server in servers(phase):
        least = {"CPUUtilization", "FreeStorageSpace", "FreeableMemory", "DatabaseConnections"}
        least |= {"CPUCreditBalance"}
        least |= {"ReplicaLag"} if server.get("replicateSourceDb") else set()
        assert watched[server.get("identifier")] == least


# -- CloudNativePG -------------------------------------------------------------------------------


def cluster(phase: int, **changes: Any) -> Resource:
    return named(recorded(phase, "kubernetes", **changes), CLUSTER, "postgres")


def test_commits_wait_for_any_one_replica_unless_told_otherwise() -> None:
    assert cluster(2).get("spec.postgresql.synchronous") == {
        "method": "any",
        "number": 1,
        "dataDurability": "preferred",
    }
    assert cluster(2, synchronous=False).get("spec.postgresql.synchronous") is None
    assert cluster(1).get("spec.postgresql.synchronous") is None


def test_the_cluster_is_backed_up_daily_and_continuously(phase: int) -> None:
    recording = recorded(phase, "kubernetes")
    backup = cluster(phase).get("spec.backup")
    assert backup["barmanObjectStore"]["destinationPath"].startswith("s3://postgres-backups-")
    assert backup["retentionPolicy"] == f"{AWS_SIZES[phase].postgres.backup_days}d"
    (daily,) = recording.graph.of("kubernetes:postgresql.cnpg.io/v1:ScheduledBackup")
    assert daily.get("spec.cluster.name") == "postgres"


def test_each_server_is_on_a_machine_of_its_own_with_a_name_of_its_own() -> None:
    recording = recorded(2, "kubernetes")
    spec = cluster(2).get("spec")
    assert spec["instances"] == 3
    assert spec["affinity"]["podAntiAffinityType"] == "required"
    names = {host.rpartition(":")[0] for host in _hosts(output(recording, "replica_urls"))}
    assert names == {f"postgres-{n}.postgres.svc" for n in (1, 2, 3)}
    services = {
        one.get("metadata.name") for one in recording.graph.of("kubernetes:core/v1:Service")
    }
    assert {name.partition(".")[0] for name in names} == services


def test_whoever_was_replaced_the_primary_is_found() -> None:
    read = hosts.names(output(recorded(2, "kubernetes"), "url"))
    assert read[-1] == "postgres-rw.postgres.svc:5432"


def _hosts(urls: list[str]) -> Iterator[str]:
    for url in urls:
        yield from hosts.names(url)


# -- Amazon ElastiCache --------------------------------------------------------------------------


def test_the_cache_is_a_cluster_from_the_first_shard_on() -> None:
    for number in (1, 2):
        group = named(recorded(number), GROUP, "redis")
        assert group.get("clusterMode") == "enabled"
        assert group.get("numNodeGroups") == SHARDS[number]
        url = output(recorded(number), "redis_url")
        assert url.startswith("rediss://:")
        assert client.is_cluster(url)
        assert len(client.addresses(url)) == 1


def test_the_cache_gives_up_pages_before_jobs_as_on_this_machine() -> None:
    (group,) = recorded(1).graph.of("aws:elasticache/parameterGroup:ParameterGroup")
    values = {one["name"]: one["value"] for one in group.get("parameters")}
    assert values["maxmemory-policy"] == "volatile-lru"
    assert values["cluster-enabled"] == "yes"


def test_phase_0_has_no_cache() -> None:
    assert not list(recorded(0).graph.of("aws:elasticache/*"))


def test_every_node_of_the_cache_is_watched() -> None:
    alarms = [one for one in recorded(2).graph.of(ALARM) if "ElastiCache" in one.get("namespace")]
    nodes = {one.get("dimensions")["CacheClusterId"] for one in alarms}
    assert sorted(node[-9:] for node in nodes) == [f"-000{n}-001" for n in (1, 2, 3)]


# -- what is elsewhere ---------------------------------------------------------------------------


def test_servers_elsewhere_are_used_in_place_of_deploying_them() -> None:
    def declare() -> None:
        target = stubs.aws_target(1)
        postgres = PostgresArgs("x", PHASES[1].postgres, external_url=stubs.POSTGRES)
        size = PHASES[1].redis
        assert size
        pulumi.export("url", Postgres("postgres", postgres, target).outputs.url)
        args = RedisArgs(size, external_url=stubs.REDIS)
        pulumi.export("redis_url", Redis("redis", args, target).outputs.url)

    recording = stubs.record(declare)
    assert not list(recording.graph.of("aws:*", "random:*"))
    assert output(recording, "url") == stubs.POSTGRES
    assert {"url", "redis_url"} <= set(recording.outputs.secrets)


def test_bluesky_is_an_account_elsewhere() -> None:
    account = Account("https://bsky.social", "bot.example.com", stubs.SENTINEL)

    def declare() -> None:
        outputs = Bluesky("bluesky", BlueskyArgs(account=account), stubs.aws_target(0)).outputs
        pulumi.export("url", outputs.url)
        pulumi.export("password", outputs.password)

    recording = stubs.record(declare)
    assert output(recording, "url") == "https://bsky.social"
    assert "password" in recording.outputs.secrets


def test_a_network_of_its_own_is_refused_with_the_keys_to_set() -> None:
    def declare() -> None:
        Bluesky("bluesky", BlueskyArgs(), stubs.aws_target(0))

    with pytest.raises(Exception, match="etcetera:blueskyUrl"):
        stubs.record(declare)
