"""What runs on Kubernetes can be watched, is bounded, and may do little."""

from collections.abc import Iterator
from typing import Any

from infra.policy.graph import Graph, Resource
from infra.policy.rule import Breach, Rule, Severity

_SERVING = ("kubernetes:apps/v1:Deployment", "kubernetes:apps/v1:StatefulSet")
_RUNNING = (*_SERVING, "kubernetes:batch/v1:Job", "kubernetes:apps/v1:DaemonSet")


def _pod(resource: Resource) -> dict[str, Any]:
    found: dict[str, Any] = resource.get("spec.template.spec") or {}
    return found


def _containers(resource: Resource) -> Iterator[dict[str, Any]]:
    pod = _pod(resource)
    yield from pod.get("initContainers") or []
    yield from pod.get("containers") or []


def _probes(graph: Graph) -> Iterator[Breach]:
    for resource in graph.of(*_SERVING):
        for container in _pod(resource).get("containers") or []:
            for probe in ("readinessProbe", "livenessProbe"):
                if not container.get(probe):
                    yield Breach(resource, f"has no {probe} in container {container.get('name')}")


def _bounds(graph: Graph) -> Iterator[Breach]:
    for resource in graph.of(*_RUNNING):
        for container in _containers(resource):
            resources = container.get("resources") or {}
            requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
            if not {"cpu", "memory"} <= requests.keys() or "memory" not in limits:
                yield Breach(resource, f"does not bound container {container.get('name')}")


def _confined(graph: Graph) -> Iterator[Breach]:
    for resource in graph.of(*_RUNNING):
        pod = _pod(resource).get("securityContext") or {}
        for container in _containers(resource):
            context = {**pod, **(container.get("securityContext") or {})}
            wanted = {
                "runAsNonRoot": True,
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
            }
            missing = [key for key, value in wanted.items() if context.get(key) is not value]
            if "ALL" not in ((context.get("capabilities") or {}).get("drop") or []):
                missing.append("capabilities.drop")
            if missing:
                name = container.get("name")
                yield Breach(resource, f"does not confine container {name}: {', '.join(missing)}")


def _pinned(graph: Graph) -> Iterator[Breach]:
    for resource in graph.of(*_RUNNING):
        for container in _containers(resource):
            image = str(container.get("image", ""))
            tag = image.rpartition(":")[2] if ":" in image.rpartition("/")[2] else ""
            if "@sha256:" not in image and tag in ("", "latest"):
                yield Breach(resource, f"runs whatever {image or 'image'} is at the moment")


def _namespaces(graph: Graph) -> set[str]:
    """Those that our own pods run in."""
    return {str(resource.get("metadata.namespace", "default")) for resource in graph.of(*_RUNNING)}


def _open_network(graph: Graph) -> Iterator[Breach]:
    closed = {
        str(policy.get("metadata.namespace", "default"))
        for policy in graph.of("kubernetes:networking.k8s.io/v1:NetworkPolicy")
        if not policy.get("spec.podSelector")
        and {"Ingress", "Egress"} <= set(policy.get("spec.policyTypes") or [])
        and not policy.get("spec.ingress")
        and not policy.get("spec.egress")
    }
    for resource in graph.of(*_RUNNING):
        namespace = str(resource.get("metadata.namespace", "default"))
        if namespace not in closed:
            yield Breach(resource, f"runs in {namespace}, where pods may speak with anybody")


def _unrestricted(graph: Graph) -> Iterator[Breach]:
    label = "pod-security.kubernetes.io/enforce"
    for resource in graph.of("kubernetes:core/v1:Namespace"):
        labels = resource.get("metadata.labels") or {}
        ours = resource.get("metadata.name", resource.name) in _namespaces(graph)
        if ours and labels.get(label) != "restricted":
            yield Breach(resource, f"does not set {label}=restricted")


RULES = (
    Rule(
        "probes",
        Severity.ERROR,
        "Without probes traffic goes to what is not ready, and what hangs stays",
        "Add a readinessProbe and a livenessProbe",
        _probes,
    ),
    Rule(
        "bounded",
        Severity.ERROR,
        "One that takes all memory takes its neighbours with it",
        "Set requests for cpu and memory, and a memory limit",
        _bounds,
    ),
    Rule(
        "confined",
        Severity.ERROR,
        "Whoever breaks into a container should find nothing to go on with",
        "Run as another user than root, with no capabilities and a read-only file system",
        _confined,
    ),
    Rule(
        "pinned-image",
        Severity.ERROR,
        "A stack that is deployed again must run the same code",
        "Name a digest or a version",
        _pinned,
    ),
    Rule(
        "default-deny",
        Severity.ERROR,
        "A pod that is taken over should reach nothing but what it needs",
        "Add a NetworkPolicy for all pods of the namespace that allows nothing, then one for each "
        "connection",
        _open_network,
    ),
    Rule(
        "restricted-pods",
        Severity.ERROR,
        "The cluster itself should refuse pods that may do too much",
        "Label the namespace with pod-security.kubernetes.io/enforce=restricted",
        _unrestricted,
    ),
)
