"""PostgreSQL on the cluster, run by CloudNativePG: it elects a new primary by itself.

The operator is one of the cluster's add-ons. Backups go to S3 as barman makes them inside of the
operator's own images, which CloudNativePG supports until 1.31; its plugin would bring cert-manager.
"""

from typing import Any

import pulumi
from pulumi_kubernetes import apiextensions, core, meta, networking

from components import passwords
from components.kubernetes import NAMESPACE, Place
from components.postgres import address, admin, backups, parameters
from components.postgres.limits import machines_for_databases, server_memory_mb
from components.postgres.ports import PostgresArgs, PostgresOutputs
from components.target import AwsTarget

COMPONENT = "postgres"
GROUP = "postgresql.cnpg.io/v1"
IMAGE = "ghcr.io/cloudnative-pg/postgresql:18.4-system-trixie"  # with barman
ADMIN = "postgres"
PORT, STATUS_PORT, METRICS_PORT = 5432, 8000, 9187
OPERATOR_NAMESPACE = "cnpg-system"
MACHINE = "etcetera.exchange/machine"
# The operator has an authority of its own for the servers' certificates. Who listens in is kept
# out; who answers is decided by the cluster's network.
TLS = {"sslmode": "require"}
BACKUP_AT = "0 0 3 * * *"  # daily at 3:00 UTC; the first field are seconds


def build(
    name: str, args: PostgresArgs, target: AwsTarget, opts: pulumi.ResourceOptions
) -> PostgresOutputs:
    size = target.size.postgres
    ready = pulumi.ResourceOptions.merge(
        opts, pulumi.ResourceOptions(depends_on=list(target.cluster.addons))
    )
    namespace = _namespace(name, target, ready)
    place = Place(COMPONENT, namespace.metadata.name.apply(str), target, ready)
    admin_password = passwords.generate(f"{name}-admin-password", 32, opts)
    owner_password = passwords.generate(f"{name}-password", 32, opts)
    bucket = backups.bucket(f"{name}-backups", target, opts)
    allowed = backups.access(f"{name}-backups", target, bucket, opts)
    cluster = apiextensions.CustomResource(
        name,
        api_version=GROUP,
        kind="Cluster",
        metadata=place.metadata(name),
        spec=specification(
            name,
            args,
            target,
            backups_to=pulumi.Output.concat("s3://", bucket.bucket, "/"),
            administrator=_login(f"{name}-admin", ADMIN, admin_password, place),
            owner=_login(f"{name}-owner", args.database, owner_password, place),
        ),
        opts=pulumi.ResourceOptions.merge(
            ready, pulumi.ResourceOptions(protect=target.protect, depends_on=[allowed])
        ),
    )
    apiextensions.CustomResource(
        f"{name}-daily",
        api_version=GROUP,
        kind="ScheduledBackup",
        metadata=place.metadata(f"{name}-daily"),
        spec={
            "schedule": BACKUP_AT,
            "immediate": True,
            "backupOwnerReference": "self",
            "cluster": {"name": name},
            "method": "barmanObjectStore",
        },
        opts=pulumi.ResourceOptions.merge(ready, pulumi.ResourceOptions(depends_on=[cluster])),
    )
    _connections(name, place)
    instances = [_instance(f"{name}-{n}", name, place) for n in range(1, size.replicas + 2)]
    primary = f"{name}-rw.{name}.svc:{PORT}"
    servers = [f"{instance}.{name}.svc:{PORT}" for instance in instances]
    admin.keep(
        f"{name}-admin",
        target,
        host=primary.partition(":")[0],
        port=PORT,
        user=ADMIN,
        password=admin_password,
        opts=opts,
    )

    def known(describe: Any, user: str, password: pulumi.Output[str], *more: Any) -> Any:
        """What may be told once the operator has taken the cluster in."""
        return pulumi.Output.secret(
            pulumi.Output.all(cluster.id, password).apply(
                lambda found: describe(user, found[1], *more, **TLS)
            )
        )

    owner = args.database
    # The last one finds the primary also when instances were replaced, which get new names.
    everywhere = [*servers, primary] if size.replicas else [primary]
    return PostgresOutputs(
        url=known(address.writer, owner, owner_password, everywhere, args.database),
        reader_url=known(address.reader, owner, owner_password, everywhere, args.database),
        replica_urls=known(address.each, owner, owner_password, servers, args.database),
        metrics={
            instance: pulumi.Output.from_input(
                f"http://{instance}.{name}.svc:{METRICS_PORT}/metrics"
            )
            for instance in instances
        },
        provision={
            "ADMIN_URL": known(address.url, ADMIN, admin_password, [primary], "postgres"),
            "DATABASE": pulumi.Output.from_input(args.database),
            "OWNER": pulumi.Output.from_input(owner),
            "OWNER_PASSWORD": owner_password,
        },
    )


def specification(
    name: str,
    args: PostgresArgs,
    target: AwsTarget,
    *,
    backups_to: pulumi.Input[str],
    administrator: core.v1.Secret,
    owner: core.v1.Secret,
) -> dict[str, Any]:
    """The `spec` of the Cluster."""
    size = target.size.postgres
    memory_mb = server_memory_mb(target.size.cluster)
    kind, _ = machines_for_databases(target.size.cluster)
    return {
        "instances": 1 + size.replicas,
        "imageName": IMAGE,
        "primaryUpdateStrategy": "unsupervised",
        "primaryUpdateMethod": "switchover",
        "enableSuperuserAccess": True,
        "superuserSecret": {"name": administrator.metadata.name},
        "bootstrap": {
            "initdb": {
                "database": args.database,
                "owner": args.database,
                "secret": {"name": owner.metadata.name},
                "encoding": "UTF8",
                "localeCollate": "C",
                "localeCType": "C",
                "dataChecksums": True,
            }
        },
        "postgresql": {
            "parameters": {
                parameter: str(value)
                for parameter, value in parameters.of_cloudnativepg(args.size, memory_mb).items()
            },
            **_synchronous(args, size.replicas),
        },
        "resources": {
            "requests": {"cpu": "250m", "memory": f"{memory_mb}Mi"},
            "limits": {"memory": f"{memory_mb}Mi"},
        },
        "storage": {
            "size": f"{size.storage_gb}Gi",
            "storageClass": target.cluster.storage_class,
            "resizeInUseVolumes": True,
        },
        # Two on one machine would be lost together.
        "affinity": {
            "enablePodAntiAffinity": True,
            "podAntiAffinityType": "required",
            "topologyKey": "kubernetes.io/hostname",
            "nodeSelector": {MACHINE: kind},
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "topology.kubernetes.io/zone",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"cnpg.io/cluster": name}},
            }
        ],
        "env": [{"name": "AWS_DEFAULT_REGION", "value": target.region}],
        "backup": {
            "retentionPolicy": f"{size.backup_days}d",
            "target": "prefer-standby",
            "barmanObjectStore": {
                "destinationPath": backups_to,
                # That of the machine, so that there is no key that could leak.
                "s3Credentials": {"inheritFromIAMRole": True},
                "wal": {"compression": "gzip"},
                "data": {"compression": "gzip", "immediateCheckpoint": True},
            },
        },
    }


def _synchronous(args: PostgresArgs, replicas: int) -> dict[str, Any]:
    """Any one of the replicas confirms a commit; with none left commits go on."""
    if not args.synchronous or not replicas:
        return {}
    return {"synchronous": {"method": "any", "number": 1, "dataDurability": "preferred"}}


def _namespace(name: str, target: AwsTarget, opts: pulumi.ResourceOptions) -> core.v1.Namespace:
    return core.v1.Namespace(
        f"{name}-namespace",
        metadata=meta.v1.ObjectMetaArgs(
            name=name,
            labels=Place(COMPONENT, name, target, opts).labels(name)
            | {"pod-security.kubernetes.io/enforce": "restricted"},
        ),
        opts=opts,
    )


def _login(name: str, user: str, password: pulumi.Output[str], place: Place) -> core.v1.Secret:
    """As the operator takes the names and passwords of roles."""
    return core.v1.Secret(
        f"{name}-login",
        metadata=meta.v1.ObjectMetaArgs(
            name=f"{name}-login",
            namespace=place.namespace,
            # A new password is a new password of the role.
            labels=place.labels(name) | {"cnpg.io/reload": "true"},
        ),
        type="kubernetes.io/basic-auth",
        string_data={"username": pulumi.Output.secret(user), "password": password},
        opts=place.opts,
    )


def _instance(instance: str, cluster: str, place: Place) -> str:
    """A name for one server, so that clients can tell how far it is behind. An instance keeps its
    number as long as it keeps its disk."""
    core.v1.Service(
        f"{instance}-service",
        metadata=meta.v1.ObjectMetaArgs(
            name=instance,
            namespace=place.namespace,
            labels=place.labels(cluster),
            # It has no pods before the operator makes them.
            annotations={"pulumi.com/skipAwait": "true"},
        ),
        spec=core.v1.ServiceSpecArgs(
            selector={"cnpg.io/cluster": cluster, "cnpg.io/instanceName": instance},
            ports=[
                core.v1.ServicePortArgs(name="postgres", port=PORT),
                core.v1.ServicePortArgs(name="metrics", port=METRICS_PORT),
            ],
        ),
        opts=place.opts,
    )
    return instance


def _connections(name: str, place: Place) -> None:
    """The app and the operator get in; the servers reach each other, the cluster's API, S3, and
    what tells a machine its credentials."""

    def of(namespace: str) -> networking.v1.NetworkPolicyPeerArgs:
        return networking.v1.NetworkPolicyPeerArgs(
            namespace_selector=meta.v1.LabelSelectorArgs(
                match_labels={"kubernetes.io/metadata.name": namespace}
            )
        )

    def ports(*numbers: int, protocol: str = "TCP") -> list[networking.v1.NetworkPolicyPortArgs]:
        return [
            networking.v1.NetworkPolicyPortArgs(port=number, protocol=protocol)
            for number in numbers
        ]

    def network(cidr: str) -> networking.v1.NetworkPolicyPeerArgs:
        return networking.v1.NetworkPolicyPeerArgs(ip_block=networking.v1.IPBlockArgs(cidr=cidr))

    Ingress = networking.v1.NetworkPolicyIngressRuleArgs  # noqa: N806 - names too long to repeat
    Egress = networking.v1.NetworkPolicyEgressRuleArgs  # noqa: N806
    networking.v1.NetworkPolicy(
        f"{name}-connections",
        metadata=place.metadata(f"{name}-connections"),
        spec=networking.v1.NetworkPolicySpecArgs(
            pod_selector=meta.v1.LabelSelectorArgs(),
            policy_types=["Ingress", "Egress"],
            ingress=[
                Ingress(from_=[of(NAMESPACE)], ports=ports(PORT, METRICS_PORT)),
                Ingress(from_=[of(OPERATOR_NAMESPACE), of(name)], ports=ports(PORT, STATUS_PORT)),
            ],
            egress=[
                Egress(to=[of(name)], ports=ports(PORT, STATUS_PORT)),
                Egress(
                    to=[of("kube-system")],
                    ports=[*ports(53), *ports(53, protocol="UDP")],
                ),
                Egress(to=[network("0.0.0.0/0")], ports=ports(443, 6443)),
                Egress(to=[network("169.254.169.254/32")], ports=ports(80)),
            ],
        ),
        opts=place.opts,
    )
