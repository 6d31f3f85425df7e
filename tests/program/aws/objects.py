"""Objects of Kubernetes in a recorded program, and what their API server would say of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import kubernetes_validate

from infra.engine.offline import Recording
from infra.policy.graph import Resource

VERSION = "1.35"
"""As components/cluster runs."""


def objects(recording: Recording, *kinds: str) -> list[Resource]:
    return [
        one
        for one in recording.graph.resources
        if one.type.startswith("kubernetes:") and (not kinds or one.inputs["kind"] in kinds)
    ]


def one(recording: Recording, kind: str, name: str) -> Resource:
    """The one object of a kind and of a name in the cluster."""
    (found,) = [o for o in objects(recording, kind) if o.get("metadata.name") == name]
    return found


def validate(resource: Resource) -> None:
    """Raises kubernetes_validate.ValidationError for what the published schema does not allow."""
    kubernetes_validate.validate(dict(resource.inputs), VERSION, strict=True)


def is_custom(resource: Resource) -> bool:
    """Of a kind that an add-on brings."""
    group = str(resource.inputs["apiVersion"]).rpartition("/")[0]
    return "." in group and not group.endswith(".k8s.io")


def pods(recording: Recording) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The pod templates, by kind and name of what makes the pods."""
    for resource in objects(recording, "Deployment", "Job", "StatefulSet", "DaemonSet"):
        name = f"{resource.inputs['kind']} {resource.get('metadata.name')}"
        yield name, resource.get("spec.template")
