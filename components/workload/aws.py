"""The app on Kubernetes: what each release does once, then its processes as pods."""

from collections.abc import Mapping

import pulumi
import pulumi_aws as aws
from pulumi_kubernetes import core, meta

from components import kubernetes, passwords
from components.kubernetes import (
    METRICS_PORT,
    NAMESPACE,
    SERVICE_ACCOUNT,
    TEMPORARY,
    WEB_PORT,
    Place,
    Process,
    Reach,
    Resources,
)
from components.target import AwsTarget
from components.workload import connections, release, scaling
from components.workload.environment import (
    STOP_SECONDS,
    WEB_STOP_SECONDS,
    WORKER_STOP_SECONDS,
    Environment,
    Environments,
    Keys,
)
from components.workload.ports import WorkloadArgs, WorkloadOutputs

# Measured in the image with little to do: 130 MB for the website, 100 for what talks to Bluesky, 60
# for the rest. More is room for pictures and batches of jobs.
WEB = Resources(cpu=250, mb=192, most_mb=384)
WORKER = Resources(cpu=100, mb=160, most_mb=320)
INGEST = Resources(cpu=100, mb=128, most_mb=256)
AUTOSCALER = Resources(cpu=25, mb=96, most_mb=192)

METRICS: Environment = {"METRICS_PORT": str(METRICS_PORT)}
# Half the time within which a reply is due is left for the reply; Bluesky allows ten a second.
POLLING: Environment = {"BLUESKY_POLL_SECONDS": "1"}
PROXIES = 2  # CloudFront and Traefik


def build(
    name: str, args: WorkloadArgs, target: AwsTarget, opts: pulumi.ResourceOptions
) -> WorkloadOutputs:
    keys, origin_secret = _keys(name, args, target, opts)
    place = Place("workload", _namespace(name, target, opts), target, opts)
    policies = connections.policies(
        name,
        place,
        postgres=pulumi.Output.all(
            args.database.url, args.database.reader_url, args.database.replica_urls
        ).apply(lambda urls: [urls[0], urls[1], *urls[2]]),
        redis=args.redis.url.apply(lambda url: [url]) if args.redis else [],
        bluesky=args.bluesky.address,
    )
    account = _account(name, place)
    environments = Environments(args, keys)

    ready: list[pulumi.Resource] = [account, *policies]
    if args.database.provision:
        ready = [
            release.job(
                f"{name}-provision", "provision", dict(args.database.provision), place, ready
            )
        ]
    migrated = release.job(f"{name}-migrate", "migrate", environments.migrate, place, ready)
    after = pulumi.ResourceOptions(depends_on=[migrated])
    place = Place(
        place.component, place.namespace, target, pulumi.ResourceOptions.merge(opts, after)
    )

    metrics: dict[str, pulumi.Output[str]] = {}

    def run(process: Process, *, pods: str | None = None) -> None:
        kubernetes.deployment(f"{name}-{process.name}", process, place)
        known = kubernetes.headless(
            f"{name}-{pods or process.name}-pods", process, place, name=pods
        )
        metrics[process.name] = known.metadata.apply(
            lambda about: (
                f"http+dns://{about.name}.{NAMESPACE}.svc.cluster.local:{process.port}/metrics"
            )
        )
        scaling.budget(f"{name}-{process.name}-budget", process, place)

    bounds = scaling.website(args.phase, args.size)
    scales = bounds.most > bounds.least
    web = Process(
        name="web",
        role="web",
        environment=environments.web
        | {
            "PORT": str(WEB_PORT),
            "TRUSTED_PROXIES": str(PROXIES),
            "ORIGIN_SECRET": origin_secret,
            "WEB_WORKERS": "1",  # as many as there are pods
            "PROMETHEUS_MULTIPROC_DIR": f"{TEMPORARY}/metrics",
        },
        port=WEB_PORT,
        resources=WEB,
        stop_seconds=WEB_STOP_SECONDS,
        replicas=None if scales else bounds.least,
        serves=True,
    )
    run(web, pods="web-pods")
    if scales:
        scaling.by_load(f"{name}-web-scaling", web, bounds, place)
    service = _service(f"{name}-web-service", web, place)

    run(
        Process(
            name="ingest",
            role="ingest",
            environment=environments.ingest | METRICS | POLLING,
            port=METRICS_PORT,
            resources=INGEST,
            stop_seconds=STOP_SECONDS,
            update="recreate",  # one reads, and a second would only stand by
            reaches=(Reach.DATA, Reach.INTERNET),
        )
    )
    worker = Process(
        name="worker",
        role="worker",
        environment=environments.worker | METRICS,
        port=METRICS_PORT,
        resources=WORKER,
        stop_seconds=WORKER_STOP_SECONDS,
        replicas=None if args.size.scaling else args.size.workers,
        # Jobs wait for a moment; connections for one more than the phase has, there are none.
        update="replace",
        spot=True,
        reaches=(Reach.DATA, Reach.INTERNET),
    )
    run(worker)
    if args.size.scaling:
        decider = Process(
            name="autoscaler",
            role="autoscaler",
            environment=environments.autoscaler(args.size.scaling)
            | METRICS
            | {"AUTOSCALER_SIZE_FILE": f"{TEMPORARY}/workers"},
            port=METRICS_PORT,
            resources=AUTOSCALER,
            stop_seconds=STOP_SECONDS,
            update="recreate",
        )
        run(decider)
        scaling.by_decision(
            f"{name}-worker-scaling",
            worker,
            decider,
            args.size.workers,
            args.size.scaling,
            place,
        )

    return WorkloadOutputs(
        upstream=service.metadata.apply(lambda about: f"{about.name}.{NAMESPACE}.svc:{WEB_PORT}"),
        metrics=metrics,
        operator_password=keys.operator_password,
        origin_secret=origin_secret,
    )


def _keys(
    name: str, args: WorkloadArgs, target: AwsTarget, opts: pulumi.ResourceOptions
) -> tuple[Keys, pulumi.Output[str]]:
    """What the stack makes for itself, with a copy in Secrets Manager of all that the app is told
    in secret and no other component keeps."""

    def made(what: str) -> pulumi.Output[str]:
        return passwords.generate(f"{name}-{what}", 48, opts)

    keys = Keys(secret=made("secret-key"), operator_password=made("operator-password"))
    origin_secret = made("origin-secret")
    kept: Mapping[str, pulumi.Input[str]] = {
        "SECRET_KEY": keys.secret,
        "OPERATOR_PASSWORD": keys.operator_password,
        "ORIGIN_SECRET": origin_secret,
        "BLUESKY_PASSWORD": args.bluesky.password,
        "BLUESKY_COURIERS": args.bluesky.couriers,
    }
    secret = aws.secretsmanager.Secret(
        f"{name}-keys",
        description="What the app is told in secret; pods get it from the cluster",
        kms_key_id=target.encryption.key_arn,
        recovery_window_in_days=7,
        tags=target.tags("workload", f"{name}-keys"),
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(protect=target.protect)),
    )
    aws.secretsmanager.SecretVersion(
        f"{name}-keys-now",
        secret_id=secret.id,
        secret_string=pulumi.Output.json_dumps(kept),
        opts=opts,
    )
    return keys, origin_secret


def _namespace(name: str, target: AwsTarget, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
    """Refuses pods that may do more than they must."""
    restricted = {
        f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")
    }
    labels = Place("workload", NAMESPACE, target, opts).labels(NAMESPACE)
    namespace = core.v1.Namespace(
        f"{name}-namespace",
        metadata=meta.v1.ObjectMetaArgs(name=NAMESPACE, labels=labels | restricted),
        opts=opts,
    )
    return namespace.metadata.apply(lambda about: str(about.name))


def _account(name: str, place: Place) -> core.v1.ServiceAccount:
    """Of all pods; it may do nothing but have the image pulled."""
    login: list[core.v1.LocalObjectReferenceArgs] = []
    if place.target.image_pull_secret is not None:
        secret = core.v1.Secret(
            f"{name}-registry",
            metadata=meta.v1.ObjectMetaArgs(
                namespace=place.namespace, labels=place.labels("registry")
            ),
            type="kubernetes.io/dockerconfigjson",
            string_data={".dockerconfigjson": place.target.image_pull_secret},
            immutable=True,
            opts=place.opts,
        )
        login = [core.v1.LocalObjectReferenceArgs(name=secret.metadata.name)]
    return core.v1.ServiceAccount(
        f"{name}-account",
        metadata=place.metadata(SERVICE_ACCOUNT),
        automount_service_account_token=False,
        image_pull_secrets=login,
        opts=place.opts,
    )


def _service(prefix: str, web: Process, place: Place) -> core.v1.Service:
    return core.v1.Service(
        prefix,
        metadata=place.metadata(web.name),
        spec=core.v1.ServiceSpecArgs(
            selector=kubernetes.selector(web.name),
            ports=[core.v1.ServicePortArgs(name="http", port=WEB_PORT, target_port="http")],
        ),
        opts=place.opts,
    )
