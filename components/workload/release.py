"""What each release does once before its pods start: makes the database, and its tables."""

import hashlib

import pulumi
from pulumi_kubernetes import batch

from components.kubernetes import Place, Reach, Resources, container, environment, pod
from components.workload.environment import Environment

SECONDS = 600
RESOURCES = Resources(cpu=100, mb=128, most_mb=256)


def job(
    prefix: str, role: str, values: Environment, place: Place, after: list[pulumi.Resource]
) -> batch.v1.Job:
    """`python -m app ROLE`, to its end. Its name is the image's: another image is another job,
    which the deployment waits for, also when it is one that ran before."""
    name = f"{role}-{hashlib.sha256(place.target.image.encode()).hexdigest()[:10]}"
    return batch.v1.Job(
        prefix,
        metadata=place.metadata(name),
        spec=batch.v1.JobSpecArgs(
            backoff_limit=4,
            active_deadline_seconds=SECONDS,
            template=pod(
                role,
                container(role, environment(prefix, role, values, place), RESOURCES, place),
                place,
                stop_seconds=30,
                reaches=[Reach.DATA],
                # A pod for each attempt, so that the output of all stays to be read.
                restart="Never",
            ),
        ),
        opts=pulumi.ResourceOptions.merge(
            place.opts,
            pulumi.ResourceOptions(
                depends_on=after,
                custom_timeouts=pulumi.CustomTimeouts(create=f"{SECONDS + 60}s"),
            ),
        ),
    )
