"""Decides what the app is on Kubernetes: every object is one that the API server takes, pods are
confined and told only what they need, a release migrates before its pods start, and as many run as
the phase has room for. That the app starts in such a pod is decided by tests/integration/image."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any, get_type_hints

import pulumi
import pytest
from pydantic import SecretStr

from app.db.provision import FIXES
from app.settings import Settings
from components import kubernetes
from components.bluesky.ports import BlueskyOutputs
from components.kubernetes import Reach
from components.redis.ports import RedisOutputs
from components.workload import Workload, connections, scaling
from components.workload.connections import Network, Server
from components.workload.cost import cost_lines
from components.workload.environment import SECRET
from infra.engine.invention import CONFIDENTIAL
from infra.engine.offline import Recording
from infra.phases import PHASES
from infra.policy.graph import texts
from infra.policy.rule import judge
from infra.policy.rules import ownership, secrets, workloads
from infra.stack import REPOSITORY
from tests.program.aws.objects import is_custom, objects, one, pods, validate
from tests.program.aws.stubs import (
    POSTGRES,
    SENTINEL,
    aws_target,
    known,
    record,
    workload_args,
)

PHASES_ON_AWS = (0, 1, 2)
OTHER_IMAGE = f"ghcr.io/example/etcetera@sha256:{'1' * 64}"


def deploy(phase: int, target: dict[str, Any] | None = None, **args: Any) -> Recording:
    """Changes that need a running program are given as functions."""

    def declare() -> None:
        given = {key: value() if callable(value) else value for key, value in args.items()}
        changed = {k: v() if callable(v) else v for k, v in (target or {}).items()}
        app = Workload("app", workload_args(phase, **given), aws_target(phase, **changed))
        for name in ("upstream", "operator_password", "origin_secret", "metrics"):
            pulumi.export(name, getattr(app.outputs, name))

    return record(declare)


@pytest.fixture(scope="module", params=PHASES_ON_AWS)
def phase(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def recording(phase: int) -> Recording:
    return deploy(phase)


# -- what the API server takes -----------------------------------------------------------------


def test_every_object_keeps_the_published_schema(recording: Recording) -> None:
    found = [resource for resource in objects(recording) if not is_custom(resource)]
    assert len(found) > 20
    for resource in found:
        validate(resource)


def test_the_policies_find_nothing(recording: Recording) -> None:
    rules = (*workloads.RULES, *secrets.RULES, *ownership.RULES)
    paid = ownership.unpriced({name for line in cost_lines("app") for name in line.resources})
    assert not judge(recording.graph, (*rules, paid), [], date(2026, 1, 1))


def test_names_are_unique_and_begin_with_the_components(recording: Recording) -> None:
    names = [one.name for one in recording.graph.resources if one.type.count("/")]
    assert len(names) == len(set(names))
    assert all(name.startswith("app") for name in names)


# -- pods ----------------------------------------------------------------------------------------


def test_pods_have_no_token_no_variables_of_services_and_no_place_to_write_but_memory(
    recording: Recording,
) -> None:
    for name, template in pods(recording):
        spec = template["spec"]
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["enableServiceLinks"] is False, name
        assert spec["securityContext"]["runAsUser"] == kubernetes.USER
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (volume,) = spec["volumes"]
        assert volume["emptyDir"]["medium"] == "Memory"


def test_pods_that_serve_are_probed_as_on_this_machine(recording: Recording) -> None:
    for resource in objects(recording, "Deployment"):
        (container,) = resource.get("spec.template.spec.containers")
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
        for probe in ("startupProbe", "livenessProbe"):
            # Not without the database: it would be restarted for what it cannot mend.
            assert container[probe]["httpGet"]["path"] == "/healthz"


def test_pods_have_the_time_that_their_process_needs_to_end(recording: Recording) -> None:
    def grace(name: str) -> int:
        spec = one(recording, "Deployment", name).get("spec.template.spec")
        return int(spec["terminationGracePeriodSeconds"])

    (web,) = one(recording, "Deployment", "web").get("spec.template.spec.containers")
    lingers = web["lifecycle"]["preStop"]["sleep"]["seconds"]
    # The module reads the environment when it is loaded.
    gunicorn = (REPOSITORY / "app" / "gunicorn.py").read_text()
    patience = re.search(r"^graceful_timeout = (\d+)$", gunicorn, re.MULTILINE)
    assert patience
    assert grace("web") > lingers + int(patience[1])
    drain = Settings.model_fields["drain_seconds"].default
    assert grace("worker") > drain
    assert one(recording, "Deployment", "worker").get("spec.template.spec.tolerations")


def test_what_may_not_run_twice_ends_before_it_starts(recording: Recording) -> None:
    assert one(recording, "Deployment", "ingest").get("spec.strategy.type") == "Recreate"
    worker = one(recording, "Deployment", "worker").get("spec.strategy.rollingUpdate")
    assert worker == {"maxSurge": 0, "maxUnavailable": 1}
    web = one(recording, "Deployment", "web").get("spec.strategy.rollingUpdate")
    assert web == {"maxSurge": 1, "maxUnavailable": 0}


# -- what they are told ----------------------------------------------------------------------------


def environment(recording: Recording, deployment: str) -> dict[str, str]:
    """Everything a role's pods are told, secrets included."""
    (container,) = one(recording, "Deployment", deployment).get("spec.template.spec.containers")
    named = {source[kind]["name"] for source in container["envFrom"] for kind in source}
    told: dict[str, str] = {}
    for resource in objects(recording, "ConfigMap", "Secret"):
        made = f"{resource.name}-0ff"  # as the recording names what has no name
        if any(name.startswith(made) for name in named):
            told |= resource.get("data") or resource.get("stringData") or {}
    return told


def test_every_role_can_read_its_settings(recording: Recording, phase: int) -> None:
    needs = {
        "web": ("port", "origin_secret", "operator_password"),
        "ingest": ("bluesky_url", "bluesky_handle", "bluesky_password", "metrics_port"),
        "worker": ("bluesky_url", "bluesky_handle", "bluesky_password", "metrics_port"),
    }
    if PHASES[phase].workload.scaling:
        needs["autoscaler"] = ("autoscaler_size_file", "autoscaler_most", "metrics_port")
    for role, required in needs.items():
        settings = Settings.from_env(environment(recording, role)).require(*required)
        assert settings.host == "0.0.0.0"  # noqa: S104
        assert settings.phase == phase


def test_only_what_talks_to_bluesky_gets_the_accounts_password(recording: Recording) -> None:
    told = {
        str(one.get("metadata.name")): environment(recording, str(one.get("metadata.name")))
        for one in objects(recording, "Deployment")
    }
    knows = {role for role, variables in told.items() if "BLUESKY_PASSWORD" in variables}
    assert knows == {"ingest", "worker"}
    assert {role for role, variables in told.items() if "ORIGIN_SECRET" in variables} == {"web"}
    assert not [role for role, variables in told.items() if "ADMIN_URL" in variables]


def test_what_is_secret_for_the_app_is_secret_in_the_cluster() -> None:
    def holds_secret(hint: Any) -> bool:
        return "SecretStr" in str(hint) or "BotAccount" in str(hint)

    of_settings = {
        name.upper()
        for name, hint in get_type_hints(Settings, include_extras=True).items()
        if name in Settings.model_fields and holds_secret(hint)
    }
    assert SecretStr.__name__ in str(Settings.model_fields["database_url"].annotation)
    assert of_settings | {"ADMIN_URL", "OWNER_PASSWORD"} == SECRET
    assert set(FIXES) - SECRET == {"DATABASE", "OWNER"}


def test_no_secret_is_in_plain(recording: Recording) -> None:
    """Whatever was given in secret, and whatever the stack makes for itself."""
    for resource in recording.graph.resources:
        for path, text in texts(resource.inputs):
            if SENTINEL in text or CONFIDENTIAL in text:
                assert any(path == s or path.startswith(f"{s}.") for s in resource.secrets), (
                    resource.name,
                    path,
                )


def test_what_no_other_component_keeps_is_kept_in_secrets_manager(recording: Recording) -> None:
    (version,) = recording.graph.of("aws:secretsmanager/secretVersion:SecretVersion")
    kept = json.loads(version.inputs["secretString"])
    assert set(kept) >= {"SECRET_KEY", "OPERATOR_PASSWORD", "ORIGIN_SECRET", "BLUESKY_PASSWORD"}
    assert kept["ORIGIN_SECRET"] == environment(recording, "web")["ORIGIN_SECRET"]
    (secret,) = recording.graph.of("aws:secretsmanager/secret:Secret")
    assert secret.protect is (secret.get("tags")["phase"] != "phase0")


def test_settings_are_never_changed_but_replaced(recording: Recording) -> None:
    """So pods roll over to new ones, and a rollout that is stuck leaves the others as they were."""
    found = objects(recording, "ConfigMap", "Secret")
    assert len(found) >= 8
    for resource in found:
        assert resource.inputs["immutable"] is True
        assert "name" not in resource.inputs["metadata"]


def test_a_registrys_login_reaches_whatever_pulls_the_image() -> None:
    login = json.dumps({"auths": {"ghcr.io": {"auth": SENTINEL}}})
    recording = deploy(1, {"image_pull_secret": lambda: pulumi.Output.secret(login)})
    (account,) = objects(recording, "ServiceAccount")
    (secret,) = [one for one in objects(recording, "Secret") if one.get("type") != "Opaque"]
    assert secret.get("type") == "kubernetes.io/dockerconfigjson"
    (named,) = account.get("imagePullSecrets")
    assert named["name"].startswith(secret.name)
    assert {t["spec"]["serviceAccountName"] for _, t in pods(recording)} == {"app"}
    validate(secret)


# -- releases --------------------------------------------------------------------------------------


def test_a_release_provisions_then_migrates_then_starts(
    recording: Recording, dependencies: Callable[[str], set[str]]
) -> None:
    jobs = [str(one.get("metadata.name")).split("-")[0] for one in objects(recording, "Job")]
    assert sorted(jobs) == ["migrate", "provision"]
    assert "app-provision" in dependencies("app-migrate")
    for resource in objects(recording, "Deployment"):
        assert "app-migrate" in dependencies(resource.name)
    # Not even a job runs before the network is closed.
    policies = {one.name for one in objects(recording, "NetworkPolicy")}
    assert policies <= dependencies("app-provision")


@pytest.fixture
def dependencies(phase: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], set[str]]:
    """What a resource waits for, by name."""
    from infra.engine.offline import OfflineMonitor

    monitors: list[OfflineMonitor] = []
    made = OfflineMonitor.__init__

    def keep(self: OfflineMonitor, *args: Any) -> None:
        made(self, *args)
        monitors.append(self)

    monkeypatch.setattr(OfflineMonitor, "__init__", keep)
    deploy(phase)
    registrations = monitors[0].registrations

    def of(name: str) -> set[str]:
        (found,) = [r for r in registrations.values() if r.name == name]
        return {registrations[urn].name for urn in found.dependencies}

    return of


def test_another_image_is_another_job_and_the_same_image_is_the_same() -> None:
    def jobs(image: str) -> set[str]:
        return {
            str(one.get("metadata.name")) for one in objects(deploy(1, {"image": image}), "Job")
        }

    assert jobs(OTHER_IMAGE) == jobs(OTHER_IMAGE)
    assert not jobs(OTHER_IMAGE) & jobs(OTHER_IMAGE.replace("1", "2"))


def test_a_database_that_needs_nothing_made_is_only_migrated() -> None:
    def elsewhere() -> Any:
        return replace(workload_args(1).database, provision={})

    (job,) = objects(deploy(1, database=elsewhere), "Job")
    assert str(job.get("metadata.name")).startswith("migrate-")


def test_a_job_ends_or_fails_in_time_and_its_output_stays(recording: Recording) -> None:
    for job in objects(recording, "Job"):
        assert job.get("spec.template.spec.restartPolicy") == "Never"
        assert job.get("spec.activeDeadlineSeconds") == 600
        # One that is gone would be made, and run, again.
        assert job.get("spec.ttlSecondsAfterFinished") is None


# -- how many --------------------------------------------------------------------------------------


def test_the_website_never_has_more_pods_than_there_are_connections_for(phase: int) -> None:
    found, size = PHASES[phase], PHASES[phase].workload
    bounds = scaling.website(found, size)
    others = size.connections - size.web_processes * size.web_pool
    surge = bounds.most + 1
    most = surge * size.web_pool + others + scaling.RESERVED_CONNECTIONS
    assert most <= found.postgres.max_connections
    assert bounds.least == size.web_processes


def test_too_few_connections_are_refused_with_the_figures() -> None:
    small = replace(PHASES[1], postgres=replace(PHASES[1].postgres, max_connections=60))
    with pytest.raises(ValueError, match=r"phase1: 60 connections .* 2 pods"):
        scaling.website(small, small.workload)


def test_pods_are_scaled_or_counted_and_never_both(recording: Recording, phase: int) -> None:
    bounds = scaling.website(PHASES[phase], PHASES[phase].workload)
    web = one(recording, "Deployment", "web").get("spec.replicas")
    scalers = objects(recording, "HorizontalPodAutoscaler")
    assert (web is None) == bool(scalers) == (bounds.most > bounds.least)
    for scaler in scalers:
        assert (scaler.get("spec.minReplicas"), scaler.get("spec.maxReplicas")) == (
            bounds.least,
            bounds.most,
        )
    workers = one(recording, "Deployment", "worker").get("spec.replicas")
    scaled = objects(recording, "ScaledObject")
    assert (workers is None) == bool(scaled) == (PHASES[phase].workload.scaling is not None)


def test_a_fixed_number_of_workers_needs_no_autoscaler() -> None:
    fixed = replace(PHASES[2].workload, workers=4, scaling=None)
    recording = deploy(2, size=fixed)
    assert one(recording, "Deployment", "worker").get("spec.replicas") == 4
    assert not objects(recording, "ScaledObject")
    assert "autoscaler" not in {o.get("metadata.name") for o in objects(recording, "Deployment")}


# What KEDA 2.20 takes (config/crd/bases/keda.sh_scaledobjects.yaml, scalers/metrics_api_scaler.go).
SCALED_OBJECT = {
    "scaleTargetRef",
    "minReplicaCount",
    "maxReplicaCount",
    "pollingInterval",
    "fallback",
    "advanced",
    "triggers",
}


def test_keda_gives_the_workers_the_number_that_the_app_wants() -> None:
    recording = deploy(2)
    spec = one(recording, "ScaledObject", "worker").inputs["spec"]
    wanted = PHASES[2].workload.scaling
    assert wanted is not None
    assert set(spec) == SCALED_OBJECT
    assert spec["scaleTargetRef"] == {"name": "worker"}
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (3, wanted.maximum)
    # When the app does not answer, there are no fewer than before.
    assert spec["fallback"] == {
        "failureThreshold": 3,
        "replicas": 3,
        "behavior": "currentReplicasIfHigher",
    }
    (trigger,) = spec["triggers"]
    assert (trigger["type"], trigger["metricType"]) == ("metrics-api", "AverageValue")
    assert all(isinstance(value, str) for value in trigger["metadata"].values())
    assert trigger["metadata"]["targetValue"] == "1"
    told = environment(recording, "autoscaler")
    assert (told["AUTOSCALER_LEAST"], told["AUTOSCALER_MOST"]) == ("3", str(wanted.maximum))


def test_the_figure_that_keda_reads_is_one_that_the_app_tells() -> None:
    from app.metrics import AUTOSCALER_WORKERS

    trigger = one(deploy(2), "ScaledObject", "worker").inputs["spec"]["triggers"][0]
    AUTOSCALER_WORKERS.labels(kind="wanted").set(4)
    (family,) = AUTOSCALER_WORKERS.collect()
    told = {
        sample.name + "{" + ",".join(f'{k}="{v}"' for k, v in sample.labels.items()) + "}"
        for sample in family.samples
    }
    assert trigger["metadata"]["valueLocation"] in told
    service = one(deploy(2), "Service", "autoscaler")
    port = service.get("spec.ports.0.port")
    assert trigger["metadata"]["url"] == f"http://autoscaler.etcetera.svc:{port}/metrics"


def test_machines_are_emptied_one_pod_at_a_time(recording: Recording) -> None:
    kept = {one.get("metadata.name"): one for one in objects(recording, "PodDisruptionBudget")}
    for deployment in objects(recording, "Deployment"):
        budget = kept[deployment.get("metadata.name")]
        assert budget.get("spec.maxUnavailable") == 1
        labels = deployment.get("spec.template.metadata.labels")
        assert budget.get("spec.selector.matchLabels").items() <= labels.items()


# -- connections -----------------------------------------------------------------------------------


def test_pods_reach_what_they_need_and_nothing_else(recording: Recording) -> None:
    reaches = {
        name.split("-")[0]: {
            Reach(label) for label in template["metadata"]["labels"] if label in set(Reach)
        }
        for name, template in pods(recording)
    }
    assert reaches["Deployment web"] == {Reach.DATA}
    assert reaches["Job migrate"] == {Reach.DATA}
    assert reaches["Deployment ingest"] == reaches["Deployment worker"]
    assert reaches["Deployment worker"] == {Reach.DATA, Reach.INTERNET}


def test_nothing_private_is_reached_through_the_internet(recording: Recording) -> None:
    (rule,) = one(recording, "NetworkPolicy", "internet").get("spec.egress")
    (peer,) = rule["to"]
    assert peer["ipBlock"]["cidr"] == "0.0.0.0/0"
    # What tells machines their credentials is among them.
    assert {"169.254.0.0/16", "10.0.0.0/8"} <= set(peer["ipBlock"]["except"])
    assert rule["ports"] == [{"port": 443, "protocol": "TCP"}]


def test_an_unusual_port_of_the_bots_server_is_let_out() -> None:
    def elsewhere() -> BlueskyOutputs:
        return replace(workload_args(1).bluesky, address=known("https://pds.example.com:2583"))

    recording = deploy(1, bluesky=elsewhere)
    (rule,) = one(recording, "NetworkPolicy", "internet").get("spec.egress")
    assert [port["port"] for port in rule["ports"]] == [443, 2583]


def test_data_is_reached_in_the_stacks_network_at_its_ports(
    recording: Recording, phase: int
) -> None:
    rules = one(recording, "NetworkPolicy", "data").get("spec.egress")
    peers = [rule["to"] for rule in rules]
    assert all(peer == [{"ipBlock": {"cidr": "10.20.0.0/16"}}] for peer in peers)
    ports = {port["port"] for rule in rules for port in rule["ports"]}
    assert ports == ({5432, 6379} if phase else {5432})


def test_servers_that_are_elsewhere_are_reached_there() -> None:
    def elsewhere() -> RedisOutputs:
        return RedisOutputs(pulumi.Output.secret("rediss://:pw@eu1.upstash.io:6380"))

    rules = one(deploy(1, redis=elsewhere), "NetworkPolicy", "data").get("spec.egress")
    (outside,) = [rule for rule in rules if rule["ports"][0]["port"] == 6380]
    assert outside["to"][0]["ipBlock"]["cidr"] == "0.0.0.0/0"


@pytest.mark.parametrize(
    ("postgres", "redis", "found"),
    [
        ([POSTGRES, POSTGRES], [], [Server(Network.STACK, 5432)]),
        (["postgresql://u:p@pg-rw.etcetera.svc/d"], [], [Server(Network.CLUSTER, 5432)]),
        (
            ["postgresql://u:p@a.example,b.example:6543/d"],
            [],
            [Server(Network.OUTSIDE, 5432), Server(Network.OUTSIDE, 6543)],
        ),
        (
            ["postgresql://u:p@a.example:5433,b.example:5434/d?sslmode=verify-full"],
            ["redis://:p@c:7001,d:7002/0?cluster=true", "rediss://:p@e"],
            [Server(Network.OUTSIDE, port) for port in (5433, 5434, 6379, 7001, 7002)],
        ),
    ],
)
def test_urls_tell_which_servers_there_are(
    postgres: list[str], redis: list[str], found: list[Server]
) -> None:
    assert connections.servers(postgres, redis) == sorted(found)


def test_only_traefik_asks_for_pages_and_only_keda_for_the_number_of_workers() -> None:
    recording = deploy(2)
    for policy, role, namespace, port in (
        ("pages", "web", "traefik", 8000),
        ("scaling", "autoscaler", "keda", 9100),
    ):
        found = one(recording, "NetworkPolicy", policy)
        assert found.get("spec.podSelector.matchLabels") == kubernetes.selector(role)
        (rule,) = found.get("spec.ingress")
        (peer,) = rule["from"]
        labels = peer["namespaceSelector"]["matchLabels"]
        assert labels == {"kubernetes.io/metadata.name": namespace}
        assert [one["port"] for one in rule["ports"]] == [port]


# -- outputs ---------------------------------------------------------------------------------------


def test_metrics_are_read_from_every_pod_by_its_services_name(
    recording: Recording, phase: int
) -> None:
    metrics = recording.outputs.values["metrics"]
    roles = {"web", "ingest", "worker"} | ({"autoscaler"} if phase == 2 else set())
    assert set(metrics) == roles
    for role, url in metrics.items():
        scheme, _, rest = url.partition("://")
        name, namespace, kind, *_ = rest.split(".")
        assert (scheme, namespace, kind) == ("http+dns", "etcetera", "svc")
        service = one(recording, "Service", name)
        assert service.get("spec.clusterIP") == "None"
        assert service.get("spec.publishNotReadyAddresses") is True
        labels = one(recording, "Deployment", role).get("spec.template.metadata.labels")
        assert service.get("spec.selector").items() <= labels.items()
        assert f":{service.get('spec.ports.0.port')}/metrics" in url


def test_the_edge_is_told_where_the_website_is(recording: Recording) -> None:
    assert recording.outputs.values["upstream"] == "web.etcetera.svc:8000"
    service = one(recording, "Service", "web")
    assert service.get("spec.clusterIP") is None
