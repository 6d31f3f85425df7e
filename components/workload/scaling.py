"""How many pods: of the website by its load, of workers by the app's own decision.

All bounds follow from the phase's sizes. The database's connections bound the website: a pod too
many would take what another needs.
"""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes import autoscaling, meta, policy

from components.kubernetes import METRICS_PORT, NAMESPACE, Place, Process, selector
from infra.phases import Phase, Scaling, WorkloadSize

RESERVED_CONNECTIONS = 8  # the server's own, the monitor, a migration, an operator
BUSY_PERCENT = 70
CALM_SECONDS = 300


@dataclass(frozen=True)
class Bounds:
    least: int
    most: int


def website(phase: Phase, size: WorkloadSize) -> Bounds:
    """Pods of the website, of one process each: twice the phase's number when many come, or as
    many as there are connections for. One more runs while a release rolls out.

    Raises:
        ValueError: not even the phase's own number has connections enough.
    """
    others = size.connections - size.web_processes * size.web_pool
    free = phase.postgres.max_connections - RESERVED_CONNECTIONS - others
    most = min(2 * size.web_processes, free // size.web_pool - 1)
    if most < size.web_processes:
        raise ValueError(
            f"{phase.name}: {phase.postgres.max_connections} connections are too few for "
            f"{size.web_processes} pods of the website with {size.web_pool} each, one more while "
            f"a release rolls out, and {others + RESERVED_CONNECTIONS} for all others"
        )
    return Bounds(size.web_processes, most)


def by_load(
    prefix: str, process: Process, bounds: Bounds, place: Place
) -> autoscaling.v2.HorizontalPodAutoscaler:
    return autoscaling.v2.HorizontalPodAutoscaler(
        prefix,
        metadata=place.metadata(process.name),
        spec=autoscaling.v2.HorizontalPodAutoscalerSpecArgs(
            scale_target_ref=autoscaling.v2.CrossVersionObjectReferenceArgs(
                api_version="apps/v1", kind="Deployment", name=process.name
            ),
            min_replicas=bounds.least,
            max_replicas=bounds.most,
            metrics=[
                autoscaling.v2.MetricSpecArgs(
                    type="Resource",
                    resource=autoscaling.v2.ResourceMetricSourceArgs(
                        name="cpu",
                        target=autoscaling.v2.MetricTargetArgs(
                            type="Utilization", average_utilization=BUSY_PERCENT
                        ),
                    ),
                )
            ],
            behavior=autoscaling.v2.HorizontalPodAutoscalerBehaviorArgs(
                scale_down=autoscaling.v2.HPAScalingRulesArgs(
                    stabilization_window_seconds=CALM_SECONDS
                )
            ),
        ),
        opts=place.opts,
    )


def by_decision(
    prefix: str, workers: Process, decider: Process, least: int, scaling: Scaling, place: Place
) -> kubernetes.apiextensions.CustomResource:
    """KEDA gives the workers the number that the app's autoscaler wants (app/autoscaling), which
    knows the queue, the bounds and the bot's write budget. While that is away the number stays.
    """
    addons = pulumi.ResourceOptions(depends_on=list(place.target.cluster.addons))
    return kubernetes.apiextensions.CustomResource(
        prefix,
        api_version="keda.sh/v1alpha1",
        kind="ScaledObject",
        metadata=place.metadata(workers.name),
        spec={
            "scaleTargetRef": {"name": workers.name},
            "minReplicaCount": least,
            "maxReplicaCount": scaling.maximum,
            "pollingInterval": 10,
            "fallback": {
                "failureThreshold": 3,
                "replicas": least,
                "behavior": "currentReplicasIfHigher",
            },
            "advanced": {
                "horizontalPodAutoscalerConfig": {
                    "behavior": {
                        # It is the app that waits for calm. This bridges its own restarts, after
                        # which it begins with the least.
                        "scaleDown": {"stabilizationWindowSeconds": int(scaling.calm_seconds)},
                        "scaleUp": {
                            "stabilizationWindowSeconds": 0,
                            "policies": [
                                {"type": "Pods", "value": scaling.maximum, "periodSeconds": 15}
                            ],
                        },
                    }
                }
            },
            "triggers": [
                {
                    "type": "metrics-api",
                    # As many as the figure says.
                    "metricType": "AverageValue",
                    "metadata": {
                        "url": f"http://{decider.name}.{NAMESPACE}.svc:{METRICS_PORT}/metrics",
                        "format": "prometheus",
                        "valueLocation": 'etcetera_autoscaler_workers{kind="wanted"}',
                        "targetValue": "1",
                    },
                }
            ],
        },
        opts=pulumi.ResourceOptions.merge(place.opts, addons),
    )


def budget(prefix: str, process: Process, place: Place) -> policy.v1.PodDisruptionBudget:
    """Machines are emptied one pod at a time."""
    return policy.v1.PodDisruptionBudget(
        prefix,
        metadata=place.metadata(process.name),
        spec=policy.v1.PodDisruptionBudgetSpecArgs(
            max_unavailable=1,
            selector=meta.v1.LabelSelectorArgs(match_labels=selector(process.name)),
            # What is not ready serves nobody, and must not keep a machine from being emptied.
            unhealthy_pod_eviction_policy="AlwaysAllow",
        ),
        opts=place.opts,
    )
