"""The app's processes as pods, made alike for every component that has one.

A pod can do little: it runs as a user without rights on a read-only file system, has no token of
the cluster, and opens no connection but those that its `Reach` names, which the network policies of
the workload grant.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import pulumi
from pulumi_kubernetes import apps, core, meta

from components.cluster.ports import SPOT
from components.target import AwsTarget
from components.workload.environment import split

NAMESPACE = "etcetera"
KEDA_NAMESPACE = "keda"
SERVICE_ACCOUNT = "app"
WEB_PORT = 8000
METRICS_PORT = 9100
LISTEN = {"HOST": "0.0.0.0"}  # noqa: S104 - on the pod's own address, which is no public one
USER = 10001  # as in the Dockerfile
TEMPORARY = "/tmp"  # noqa: S108 - the only folder that pods can write to
# How long a pod goes on serving after it was told to end: until nobody sends it requests any more.
LINGER_SECONDS = 5


class Reach(StrEnum):
    """What pods may open connections to. The values are labels of theirs."""

    DATA = "reach.etcetera.exchange/data"  # PostgreSQL and Redis
    INTERNET = "reach.etcetera.exchange/internet"  # HTTPS, but nothing private
    METRICS = "reach.etcetera.exchange/metrics"  # all other pods of the app


@dataclass(frozen=True)
class Resources:
    """What a pod is given: thousandths of a processor and MB of memory at least, of memory no more
    than `most_mb`. Processors are not bounded: an idle one helps nobody."""

    cpu: int
    mb: int
    most_mb: int

    def args(self) -> core.v1.ResourceRequirementsArgs:
        return core.v1.ResourceRequirementsArgs(
            requests={"cpu": f"{self.cpu}m", "memory": f"{self.mb}Mi"},
            limits={"memory": f"{self.most_mb}Mi"},
        )


@dataclass(frozen=True, kw_only=True)
class Process:
    """A role of the app (`python -m app ROLE`) as pods of one Deployment, called `name`.

    `replicas` is None where an autoscaler decides. `update`: `surge` starts a new pod before an old
    one ends, `replace` ends an old one first, `recreate` ends all, for what may not run twice.
    `stop_seconds` are those that the process needs to end. `serves`: others send it requests, so
    that it lingers until they know that it ends. `spot`: may be lost at two minutes' notice.
    """

    name: str
    role: str
    environment: Mapping[str, pulumi.Input[str]]
    port: int
    resources: Resources
    stop_seconds: int
    replicas: int | None = 1
    update: Literal["surge", "replace", "recreate"] = "surge"
    serves: bool = False
    spot: bool = False
    reaches: Collection[Reach] = (Reach.DATA,)


def selector(name: str) -> dict[str, str]:
    """The labels that tell pods of one name from all others; they never change."""
    return {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "etcetera"}


@dataclass(frozen=True)
class Place:
    """Where a component declares its objects. `namespace` is `NAMESPACE`, known once it is there;
    `opts` hold the parent, and what all the objects wait for."""

    component: str
    namespace: pulumi.Input[str]
    target: AwsTarget
    opts: pulumi.ResourceOptions

    def labels(self, name: str) -> dict[str, str]:
        return selector(name) | {
            "app.kubernetes.io/component": self.component,
            "app.kubernetes.io/managed-by": "pulumi",
            "app.kubernetes.io/instance": self.target.stack,
        }

    def metadata(self, name: str) -> meta.v1.ObjectMetaArgs:
        """Of an object that others refer to by name."""
        return meta.v1.ObjectMetaArgs(name=name, namespace=self.namespace, labels=self.labels(name))


def environment(
    prefix: str, name: str, values: Mapping[str, pulumi.Input[str]], place: Place
) -> list[core.v1.EnvFromSourceArgs]:
    """A ConfigMap and a Secret that hold the variables of one role.

    They cannot change and get their names from Pulumi, so other values are other objects: pods roll
    over to them, and those that still run keep what they were started with.
    """
    plain, secret = split(values)
    about = meta.v1.ObjectMetaArgs(namespace=place.namespace, labels=place.labels(name))
    settings = core.v1.ConfigMap(
        f"{prefix}-settings", metadata=about, data=plain, immutable=True, opts=place.opts
    )
    secrets = core.v1.Secret(
        f"{prefix}-secrets",
        metadata=about,
        type="Opaque",
        string_data={key: pulumi.Output.secret(value) for key, value in secret.items()},
        immutable=True,
        opts=place.opts,
    )
    return [
        core.v1.EnvFromSourceArgs(
            config_map_ref=core.v1.ConfigMapEnvSourceArgs(name=settings.metadata.name)
        ),
        core.v1.EnvFromSourceArgs(
            secret_ref=core.v1.SecretEnvSourceArgs(name=secrets.metadata.name)
        ),
    ]


def deployment(prefix: str, process: Process, place: Place) -> apps.v1.Deployment:
    """A role's Deployment with its settings; its logical name is `prefix`."""
    return apps.v1.Deployment(
        prefix,
        metadata=place.metadata(process.name),
        spec=apps.v1.DeploymentSpecArgs(
            replicas=process.replicas,
            revision_history_limit=3,
            progress_deadline_seconds=600,
            strategy=_strategy(process),
            selector=meta.v1.LabelSelectorArgs(match_labels=selector(process.name)),
            template=pod(
                process.name,
                container(
                    process.role,
                    environment(prefix, process.name, LISTEN | dict(process.environment), place),
                    process.resources,
                    place,
                    port=process.port,
                    lingers=process.serves,
                ),
                place,
                stop_seconds=process.stop_seconds + (LINGER_SECONDS if process.serves else 0),
                reaches=process.reaches,
                spot=process.spot,
            ),
        ),
        opts=place.opts,
    )


def pod(
    name: str,
    runs: core.v1.ContainerArgs,
    place: Place,
    *,
    stop_seconds: int,
    reaches: Collection[Reach],
    spot: bool = False,
    restart: Literal["Always", "Never", "OnFailure"] = "Always",
) -> core.v1.PodTemplateSpecArgs:
    return core.v1.PodTemplateSpecArgs(
        metadata=meta.v1.ObjectMetaArgs(
            labels=place.labels(name) | {reach.value: "true" for reach in reaches}
        ),
        spec=core.v1.PodSpecArgs(
            service_account_name=SERVICE_ACCOUNT,
            automount_service_account_token=False,
            # Variables named after services would be taken for settings.
            enable_service_links=False,
            restart_policy=restart,
            termination_grace_period_seconds=stop_seconds,
            security_context=core.v1.PodSecurityContextArgs(
                run_as_non_root=True,
                run_as_user=USER,
                run_as_group=USER,
                fs_group=USER,
                seccomp_profile=core.v1.SeccompProfileArgs(type="RuntimeDefault"),
            ),
            containers=[runs],
            volumes=[
                core.v1.VolumeArgs(
                    name="temporary",
                    empty_dir=core.v1.EmptyDirVolumeSourceArgs(medium="Memory", size_limit="64Mi"),
                )
            ],
            topology_spread_constraints=[
                core.v1.TopologySpreadConstraintArgs(
                    topology_key=key,
                    max_skew=1,
                    when_unsatisfiable="ScheduleAnyway",
                    label_selector=meta.v1.LabelSelectorArgs(match_labels=selector(name)),
                )
                for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
            ],
            tolerations=[core.v1.TolerationArgs(key=SPOT, operator="Exists")] if spot else None,
            affinity=_prefers_spot() if spot else None,
        ),
    )


def container(
    role: str,
    settings: list[core.v1.EnvFromSourceArgs],
    resources: Resources,
    place: Place,
    *,
    port: int | None = None,
    lingers: bool = False,
) -> core.v1.ContainerArgs:
    """`port` answers /healthz and /readyz; without one the container is a job's."""
    return core.v1.ContainerArgs(
        name="app",
        image=place.target.image,
        args=[role],
        env_from=settings,
        resources=resources.args(),
        ports=[core.v1.ContainerPortArgs(name="http", container_port=port)] if port else None,
        # What starts slowly is not restarted for it.
        startup_probe=_probe("/healthz", every=1, failures=60) if port else None,
        liveness_probe=_probe("/healthz", every=5, failures=4) if port else None,
        # Not ready without the database, which is no reason to restart it.
        readiness_probe=_probe("/readyz", every=5, failures=2) if port else None,
        lifecycle=core.v1.LifecycleArgs(
            pre_stop=core.v1.LifecycleHandlerArgs(
                sleep=core.v1.SleepActionArgs(seconds=LINGER_SECONDS)
            )
        )
        if lingers
        else None,
        security_context=core.v1.SecurityContextArgs(
            run_as_non_root=True,
            allow_privilege_escalation=False,
            read_only_root_filesystem=True,
            capabilities=core.v1.CapabilitiesArgs(drop=["ALL"]),
        ),
        volume_mounts=[core.v1.VolumeMountArgs(name="temporary", mount_path=TEMPORARY)],
        termination_message_policy="FallbackToLogsOnError",
    )


def headless(
    prefix: str, process: Process, place: Place, *, name: str | None = None
) -> core.v1.Service:
    """A service whose name stands for the addresses of all pods, ready or not, for the monitor."""
    return core.v1.Service(
        prefix,
        metadata=meta.v1.ObjectMetaArgs(
            name=name or process.name,
            namespace=place.namespace,
            labels=place.labels(process.name),
            # A name without addresses is no failure.
            annotations={"pulumi.com/skipAwait": "true"},
        ),
        spec=core.v1.ServiceSpecArgs(
            cluster_ip="None",
            publish_not_ready_addresses=True,
            selector=selector(process.name),
            ports=[core.v1.ServicePortArgs(name="http", port=process.port, target_port="http")],
        ),
        opts=place.opts,
    )


def _strategy(process: Process) -> apps.v1.DeploymentStrategyArgs:
    if process.update == "recreate":
        return apps.v1.DeploymentStrategyArgs(type="Recreate")
    more, fewer = (1, 0) if process.update == "surge" else (0, 1)
    return apps.v1.DeploymentStrategyArgs(
        type="RollingUpdate",
        rolling_update=apps.v1.RollingUpdateDeploymentArgs(max_surge=more, max_unavailable=fewer),
    )


def _probe(path: str, *, every: int, failures: int) -> core.v1.ProbeArgs:
    return core.v1.ProbeArgs(
        http_get=core.v1.HTTPGetActionArgs(path=path, port="http"),
        period_seconds=every,
        timeout_seconds=4,  # longer than /readyz waits for its servers
        failure_threshold=failures,
    )


def _prefers_spot() -> core.v1.AffinityArgs:
    """Workers leave the other machines to the site as long as there are machines of their own."""
    return core.v1.AffinityArgs(
        node_affinity=core.v1.NodeAffinityArgs(
            preferred_during_scheduling_ignored_during_execution=[
                core.v1.PreferredSchedulingTermArgs(
                    weight=100,
                    preference=core.v1.NodeSelectorTermArgs(
                        match_expressions=[
                            core.v1.NodeSelectorRequirementArgs(key=SPOT, operator="Exists")
                        ]
                    ),
                )
            ]
        )
    )
