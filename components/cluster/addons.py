"""What every cluster has in it: Traefik, KEDA where workers scale, and what databases in pods need.

Charts are pinned; each is installed once the API answers.
"""

from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.helm import v3 as helm
from pulumi_kubernetes.meta import v1 as meta

from components.cluster import eks
from components.cluster.machines import stores
from components.cluster.ports import (
    CERTIFICATE_RESOLVER,
    INGRESS_CLASS,
    INGRESS_NAMESPACE,
    ClusterArgs,
)
from components.target import AwsAccount
from infra.phases import PHASES

TRAEFIK = ("https://traefik.github.io/charts", "traefik", "41.3.0")
KEDA = ("https://kedacore.github.io/charts", "keda", "2.20.2")
CLOUD_NATIVE_PG = ("https://cloudnative-pg.github.io/charts", "cloudnative-pg", "0.29.0")
EBS_DRIVER = (
    "https://kubernetes-sigs.github.io/aws-ebs-csi-driver",
    "aws-ebs-csi-driver",
    "2.48.0",
)
STORAGE_CLASS = "encrypted"  # volumes of EBS, which outlive their machine
LOCAL_STORAGE_CLASS = "local-path"  # of k3s: folders of a machine's disk


def build(
    name: str,
    args: ClusterArgs,
    provider: kubernetes.Provider,
    target: AwsAccount,
    opts: pulumi.ResourceOptions,
) -> list[pulumi.Resource]:
    inside = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(provider=provider))
    on_eks = args.size.distribution == "eks"
    values = traefik_on_eks() if on_eks else traefik_on_k3s(target.alert_email)
    installed: list[pulumi.Resource] = [
        _release(f"{name}-traefik", TRAEFIK, INGRESS_NAMESPACE, values, inside)
    ]
    if PHASES[target.phase].workload.scaling is not None:
        installed.append(_release(f"{name}-keda", KEDA, "keda", keda(), inside))
    if stores(target):
        if not on_eks:  # there it comes with the cluster
            installed.append(
                _release(f"{name}-disks", EBS_DRIVER, "kube-system", ebs_driver(target), inside)
            )
        installed.append(_storage_class(f"{name}-storage", args, inside))
        installed.append(
            _release(f"{name}-databases", CLOUD_NATIVE_PG, "cnpg-system", cloud_native_pg(), inside)
        )
    return installed


def _release(
    unique: str,
    chart: tuple[str, str, str],
    namespace: str,
    values: dict[str, Any],
    opts: pulumi.ResourceOptions,
) -> helm.Release:
    repository, which, version = chart
    return helm.Release(
        unique,
        name=which,
        namespace=namespace,
        create_namespace=True,
        chart=which,
        version=version,
        repository_opts=helm.RepositoryOptsArgs(repo=repository),
        values=values,
        # What failed half-way is removed, so that the next try starts anew.
        cleanup_on_fail=True,
        timeout=600,
        max_history=3,
        opts=opts,
    )


def _resources(cpu: str, memory: str, most_memory: str) -> dict[str, Any]:
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": most_memory}}


def _traefik() -> dict[str, Any]:
    return {
        "ingressClass": {"enabled": True, "isDefaultClass": True, "name": INGRESS_CLASS},
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        "resources": _resources("50m", "64Mi", "256Mi"),
        # The app answers nobody but the CDN (X-Origin-Secret), so what it says of visitors is true.
        "ports": {"websecure": {"forwardedHeaders": {"insecure": True}}},
    }


def traefik_on_k3s(email: str) -> dict[str, Any]:
    """One, on the server, whose ports it has; Let's Encrypt proves its name on port 80."""
    values = _traefik()
    values["ports"]["web"] = {
        "http": {
            "redirections": {
                "entryPoint": {"to": "websecure", "scheme": "https", "permanent": True}
            }
        }
    }
    return values | {
        "nodeSelector": {"etcetera.exchange/machine": "server"},
        "certificatesResolvers": {
            CERTIFICATE_RESOLVER: {
                "acme": {
                    "email": email,
                    "storage": "/data/acme.json",
                    "httpChallenge": {"entryPoint": "web"},
                }
            }
        },
        # Asking for a new certificate at each start would soon be refused.
        "persistence": {"enabled": True, "size": "128Mi", "storageClass": LOCAL_STORAGE_CLASS},
        "podSecurityContext": {
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "runAsNonRoot": True,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def traefik_on_eks() -> dict[str, Any]:
    """Two, behind the load balancer, which has the certificate that others see."""
    values = _traefik()
    values["ports"]["web"] = {"expose": {"default": False}}
    values["ports"]["websecure"] |= {"nodePort": eks.INGRESS_PORT}
    return values | {
        "deployment": {"replicas": 2},
        "podDisruptionBudget": {"enabled": True, "maxUnavailable": 1},
        "service": {"spec": {"type": "NodePort"}},
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"app.kubernetes.io/name": "traefik"}},
            }
        ],
    }


def keda() -> dict[str, Any]:
    return {
        "resources": {
            "operator": _resources("20m", "64Mi", "256Mi"),
            "metricServer": _resources("20m", "64Mi", "256Mi"),
            "webhooks": _resources("10m", "32Mi", "128Mi"),
        }
    }


def cloud_native_pg() -> dict[str, Any]:
    return {"resources": _resources("20m", "100Mi", "256Mi")}


def ebs_driver(target: AwsAccount) -> dict[str, Any]:
    return {
        "controller": {
            "region": target.region,
            "replicaCount": 1,
            "extraVolumeTags": target.tags("postgres"),
            "resources": _resources("10m", "40Mi", "128Mi"),
        },
        "node": {"resources": _resources("10m", "40Mi", "128Mi")},
    }


def _storage_class(
    unique: str, args: ClusterArgs, opts: pulumi.ResourceOptions
) -> kubernetes.storage.v1.StorageClass:
    return kubernetes.storage.v1.StorageClass(
        unique,
        metadata=meta.ObjectMetaArgs(
            name=STORAGE_CLASS,
            labels={
                "app.kubernetes.io/name": STORAGE_CLASS,
                "app.kubernetes.io/component": "cluster",
                "app.kubernetes.io/part-of": "etcetera",
                "app.kubernetes.io/managed-by": "pulumi",
            },
        ),
        provisioner="ebs.csi.aws.com",
        parameters={"type": "gp3", "encrypted": "true", "kmsKeyId": args.encryption.key_arn},
        allow_volume_expansion=True,
        # A volume is made where its pod is, and kept when its claim is gone.
        volume_binding_mode="WaitForFirstConsumer",
        reclaim_policy="Retain",
        opts=opts,
    )
