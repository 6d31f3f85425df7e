"""EKS with managed groups of machines, behind a network load balancer that ends TLS.

Whoever creates the cluster is its operator; others get access entries by hand. Everything else that
speaks to its API comes from the stack's network or from the operators' networks.
"""

import json
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from components.alarms import alarm
from components.cluster import machines, user_data
from components.cluster.certificates import eks_kubeconfig
from components.cluster.nodes import Nodes
from components.cluster.ports import SPOT, ClusterArgs
from components.target import AwsAccount
from infra.addresses import SERVICES
from infra.aws_sizes import AwsMachines

VERSION = "1.35"
# AWS's defaults for this version in September 2026: `aws eks describe-addon-versions`.
NETWORK = ("vpc-cni", "v1.22.3-eksbuild.1")
ADDONS = {
    "kube-proxy": "v1.35.3-eksbuild.17",
    "coredns": "v1.13.2-eksbuild.11",
    "metrics-server": "v0.9.0-eksbuild.5",
    "eks-pod-identity-agent": "v1.3.10-eksbuild.3",
}
STORAGE = ("aws-ebs-csi-driver", "v1.63.1-eksbuild.1")
INGRESS_PORT = 30443  # of each machine, where Traefik answers


def build(name: str, args: ClusterArgs, target: AwsAccount, opts: pulumi.ResourceOptions) -> Nodes:
    logs = machines.log_group(name, args, target, opts)
    nodes = machines.nodes_security_group(name, args, target, opts)
    cluster = _control_plane(name, args, target, opts, nodes)
    network = _addon(name, *NETWORK, cluster, target, opts, [], {"enableNetworkPolicy": "true"})
    role = machines.Role(
        f"{name}-nodes-role",
        logs,
        target,
        opts,
        policies={
            "worker": "AmazonEKSWorkerNodePolicy",
            "network": "AmazonEKS_CNI_Policy",
            "images": "AmazonEC2ContainerRegistryPullOnly",
        },
    )
    groups = {
        kind: _group(name, kind, size, args, target, opts, cluster, nodes, role, logs, network)
        for kind, size in args.size.groups.items()
    }
    addons = [
        _addon(name, addon, version, cluster, target, opts, [*groups.values()])
        for addon, version in ADDONS.items()
    ]
    if machines.stores(target):
        addons.append(_storage(name, args, cluster, target, opts, addons))
    balancer = _balancer(name, args, target, opts, nodes, groups["agents"])
    _alarms(name, args, target, opts, groups["agents"])
    config = pulumi.Output.all(
        cluster.endpoint, cluster.certificate_authority.data, cluster.name
    ).apply(lambda known: eks_kubeconfig(known[0], known[1], known[2], target.region))
    provider = kubernetes.Provider(
        f"{name}-api",
        kubeconfig=config,
        cluster_identifier=f"{target.stack}-eks",
        enable_server_side_apply=True,
        opts=pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(depends_on=[*groups.values(), *addons])
        ),
    )
    return Nodes(
        kubeconfig=config,
        provider=provider,
        address=balancer.dns_name,
        address_kind="CNAME",
        node_security_group_id=nodes.id,
        machines={kind: _group_name(group) for kind, group in groups.items()},
        node_role_name=role.role.name,
    )


def _control_plane(
    name: str,
    args: ClusterArgs,
    target: AwsAccount,
    opts: pulumi.ResourceOptions,
    nodes: aws.ec2.SecurityGroup,
) -> aws.eks.Cluster:
    physical = f"etcetera-{target.stack}"
    # EKS writes to a group of this name, and would make it without key and end.
    logs = aws.cloudwatch.LogGroup(
        f"{name}-api-logs",
        name=f"/aws/eks/{physical}/cluster",
        retention_in_days=machines.LOG_DAYS,
        kms_key_id=args.encryption.key_arn,
        tags=target.tags("cluster", f"{name}-api-logs"),
        opts=opts,
    )
    role = aws.iam.Role(
        f"{name}-control-plane-role",
        description=f"The control plane of stack {target.stack}",
        assume_role_policy=machines.trust("eks.amazonaws.com"),
        tags=target.tags("cluster", f"{name}-control-plane-role"),
        opts=opts,
    )
    managed = aws.iam.RolePolicyAttachment(
        f"{name}-control-plane-managed",
        role=role.name,
        policy_arn="arn:aws:iam::aws:policy/AmazonEKSClusterPolicy",
        opts=opts,
    )
    own = aws.iam.RolePolicy(
        f"{name}-control-plane-key",
        role=role.id,
        policy=pulumi.Output.json_dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Action": [
                            "kms:Encrypt",
                            "kms:Decrypt",
                            "kms:DescribeKey",
                            "kms:ListGrants",
                        ],
                        "Resource": args.encryption.key_arn,
                    }
                ],
            }
        ),
        opts=opts,
    )
    return aws.eks.Cluster(
        f"{name}-control-plane",
        name=physical,
        version=VERSION,
        role_arn=role.arn,
        vpc_config=aws.eks.ClusterVpcConfigArgs(
            subnet_ids=list(args.network.node_subnet_ids),
            # The control plane is one of the machines, which reach each other.
            security_group_ids=[nodes.id],
            endpoint_private_access=True,
            endpoint_public_access=bool(target.operator_cidrs),
            public_access_cidrs=list(target.operator_cidrs) or None,
        ),
        kubernetes_network_config=aws.eks.ClusterKubernetesNetworkConfigArgs(
            service_ipv4_cidr=str(SERVICES)
        ),
        access_config=aws.eks.ClusterAccessConfigArgs(
            authentication_mode="API", bootstrap_cluster_creator_admin_permissions=True
        ),
        bootstrap_self_managed_addons=False,
        encryption_config=aws.eks.ClusterEncryptionConfigArgs(
            provider=aws.eks.ClusterEncryptionConfigProviderArgs(key_arn=args.encryption.key_arn),
            resources=["secrets"],
        ),
        enabled_cluster_log_types=["api", "audit", "authenticator"],
        # Six times the price, for those who do not upgrade within 14 months.
        upgrade_policy=aws.eks.ClusterUpgradePolicyArgs(support_type="STANDARD"),
        deletion_protection=target.protect,
        tags=target.tags("cluster", f"{name}-control-plane"),
        opts=pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(depends_on=[logs, managed, own])
        ),
    )


def _addon(
    name: str,
    addon: str,
    version: str,
    cluster: aws.eks.Cluster,
    target: AwsAccount,
    opts: pulumi.ResourceOptions,
    needs: list[pulumi.Resource],
    configuration: dict[str, Any] | None = None,
    identities: list[aws.eks.AddonPodIdentityAssociationArgs] | None = None,
) -> aws.eks.Addon:
    return aws.eks.Addon(
        f"{name}-{addon}",
        cluster_name=cluster.name,
        addon_name=addon,
        addon_version=version,
        configuration_values=json.dumps(configuration) if configuration else None,
        pod_identity_associations=identities,
        resolve_conflicts_on_create="OVERWRITE",
        resolve_conflicts_on_update="OVERWRITE",
        tags=target.tags("cluster", f"{name}-{addon}"),
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=needs)),
    )


def _storage(
    name: str,
    args: ClusterArgs,
    cluster: aws.eks.Cluster,
    target: AwsAccount,
    opts: pulumi.ResourceOptions,
    needs: list[aws.eks.Addon],
) -> aws.eks.Addon:
    """Volumes of databases, by a role that only the driver's pods have."""
    role = aws.iam.Role(
        f"{name}-disks-role",
        description=f"Makes volumes for databases of stack {target.stack}",
        assume_role_policy=machines.trust(
            "pods.eks.amazonaws.com", "sts:AssumeRole", "sts:TagSession"
        ),
        tags=target.tags("cluster", f"{name}-disks-role"),
        opts=opts,
    )
    managed = aws.iam.RolePolicyAttachment(
        f"{name}-disks-managed",
        role=role.name,
        policy_arn="arn:aws:iam::aws:policy/service-role/AmazonEBSCSIDriverPolicy",
        opts=opts,
    )
    key = aws.iam.RolePolicy(
        f"{name}-disks-key",
        role=role.id,
        policy=pulumi.Output.json_dumps(
            {"Version": "2012-10-17", "Statement": machines.encrypted_disks(args)}
        ),
        opts=opts,
    )
    return _addon(
        name,
        *STORAGE,
        cluster,
        target,
        opts,
        [*needs, managed, key],
        identities=[
            aws.eks.AddonPodIdentityAssociationArgs(
                role_arn=role.arn, service_account="ebs-csi-controller-sa"
            )
        ],
    )


def _group(
    name: str,
    kind: str,
    size: AwsMachines,
    args: ClusterArgs,
    target: AwsAccount,
    opts: pulumi.ResourceOptions,
    cluster: aws.eks.Cluster,
    nodes: aws.ec2.SecurityGroup,
    role: machines.Role,
    logs: aws.cloudwatch.LogGroup,
    network: aws.eks.Addon,
) -> aws.eks.NodeGroup:
    unique, spot = f"{name}-{kind}", kind == "spot"
    script = logs.name.apply(
        lambda group: user_data.encoded(
            user_data.beside_others(
                user_data.script(
                    {
                        "REGION": target.region,
                        "LOG_AGENT": user_data.log_agent(group, figures=False),
                    },
                    ["machine", "eks"],
                )
            )
        )
    )
    template = machines.launch_template(
        unique,
        args,
        target,
        opts,
        script=script,
        disk_gb=size.disk_gb,
        vpc_security_group_ids=[nodes.id],
    )
    return aws.eks.NodeGroup(
        unique,
        cluster_name=cluster.name,
        node_role_arn=role.role.arn,
        subnet_ids=list(args.network.node_subnet_ids),
        ami_type="AL2023_ARM_64_STANDARD",
        capacity_type="SPOT" if spot else "ON_DEMAND",
        instance_types=list(size.types if spot else size.types[:1]),
        launch_template=aws.eks.NodeGroupLaunchTemplateArgs(
            id=template.id, version=template.latest_version.apply(lambda n: str(int(n)))
        ),
        scaling_config=aws.eks.NodeGroupScalingConfigArgs(
            min_size=size.count, desired_size=size.count, max_size=size.count + 1
        ),
        update_config=aws.eks.NodeGroupUpdateConfigArgs(max_unavailable=1),
        node_repair_config=aws.eks.NodeGroupNodeRepairConfigArgs(enabled=True),
        labels={"etcetera.exchange/machine": kind, **({SPOT: "true"} if spot else {})},
        taints=[aws.eks.NodeGroupTaintArgs(key=SPOT, value="true", effect="NO_SCHEDULE")]
        if spot
        else None,
        tags=target.tags("cluster", unique),
        opts=pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(depends_on=[*role.ready, network])
        ),
    )


def _group_name(group: aws.eks.NodeGroup) -> pulumi.Output[str]:
    """Of the autoscaling group that EKS has made for it."""
    return group.resources.apply(lambda made: str((made[0].autoscaling_groups or [])[0].name))


def _balancer(
    name: str,
    args: ClusterArgs,
    target: AwsAccount,
    opts: pulumi.ResourceOptions,
    nodes: aws.ec2.SecurityGroup,
    group: aws.eks.NodeGroup,
) -> aws.lb.LoadBalancer:
    unique = f"{name}-balancer"
    doors = machines.security_group(f"{unique}-doors", "The site", args, target, opts)
    aws.vpc.SecurityGroupIngressRule(
        f"{unique}-site-443",
        security_group_id=doors.id,
        ip_protocol="tcp",
        from_port=443,
        to_port=443,
        cidr_ipv4="0.0.0.0/0",
        description="The site",
        tags=target.tags("cluster", f"{unique}-site-443"),
        opts=opts,
    )
    for direction, rule, own, other in (
        ("to-nodes", aws.vpc.SecurityGroupEgressRule, doors, nodes),
        ("from-balancer", aws.vpc.SecurityGroupIngressRule, nodes, doors),
    ):
        rule(
            f"{unique}-{direction}",
            security_group_id=own.id,
            referenced_security_group_id=other.id,
            ip_protocol="tcp",
            from_port=INGRESS_PORT,
            to_port=INGRESS_PORT,
            description="From the load balancer to Traefik",
            tags=target.tags("cluster", f"{unique}-{direction}"),
            opts=opts,
        )
    balancer = aws.lb.LoadBalancer(
        unique,
        load_balancer_type="network",
        internal=False,
        subnets=list(args.network.public_subnet_ids),
        security_groups=[doors.id],
        enable_cross_zone_load_balancing=True,
        enable_deletion_protection=target.protect,
        tags=target.tags("cluster", unique),
        opts=opts,
    )
    targets = aws.lb.TargetGroup(
        f"{unique}-traefik",
        vpc_id=args.network.vpc_id,
        target_type="instance",
        protocol="TLS",
        port=INGRESS_PORT,
        deregistration_delay=30,
        health_check=aws.lb.TargetGroupHealthCheckArgs(
            protocol="TCP", interval=10, healthy_threshold=2, unhealthy_threshold=2
        ),
        tags=target.tags("cluster", f"{unique}-traefik"),
        opts=opts,
    )
    aws.autoscaling.Attachment(
        f"{unique}-machines",
        autoscaling_group_name=_group_name(group),
        lb_target_group_arn=targets.arn,
        opts=opts,
    )
    aws.lb.Listener(
        f"{unique}-tls",
        load_balancer_arn=balancer.arn,
        port=443,
        protocol="TLS",
        ssl_policy="ELBSecurityPolicy-TLS13-1-2-2021-06",
        certificate_arn=_certificate(name, args, target, opts),
        default_actions=[
            aws.lb.ListenerDefaultActionArgs(type="forward", target_group_arn=targets.arn)
        ],
        tags=target.tags("cluster", f"{unique}-tls"),
        opts=opts,
    )
    alarm(
        f"{unique}-healthy",
        target,
        "cluster",
        why="No machine answers the load balancer: the site is down; see Traefik's pods",
        namespace="AWS/NetworkELB",
        metric="HealthyHostCount",
        dimensions={"LoadBalancer": balancer.arn_suffix, "TargetGroup": targets.arn_suffix},
        statistic="Minimum",
        below=1,
        minutes=1,
        missing="breaching",
        alerts=args.alerts,
        opts=opts,
    )
    return balancer


def _certificate(
    name: str, args: ClusterArgs, target: AwsAccount, opts: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    certificate = aws.acm.Certificate(
        f"{name}-origin-certificate",
        domain_name=args.origin,
        validation_method="DNS",
        tags=target.tags("cluster", f"{name}-origin-certificate"),
        opts=opts,
    )
    proof = certificate.domain_validation_options[0]
    record = aws.route53.Record(
        f"{name}-origin-proof",
        zone_id=args.dns.zone_id,
        name=proof.resource_record_name.apply(str),
        type=proof.resource_record_type.apply(str),
        records=[proof.resource_record_value.apply(str)],
        ttl=300,
        allow_overwrite=True,
        opts=opts,
    )
    return aws.acm.CertificateValidation(
        f"{name}-origin-proven",
        certificate_arn=certificate.arn,
        validation_record_fqdns=[record.fqdn],
        opts=opts,
    ).certificate_arn


def _alarms(
    name: str,
    args: ClusterArgs,
    target: AwsAccount,
    opts: pulumi.ResourceOptions,
    group: aws.eks.NodeGroup,
) -> None:
    alarm(
        f"{name}-agents-cpu",
        target,
        "cluster",
        why="The machines have been busy for a quarter of an hour; choose a larger nodeType",
        namespace="AWS/EC2",
        metric="CPUUtilization",
        dimensions={"AutoScalingGroupName": _group_name(group)},
        above=85,
        alerts=args.alerts,
        opts=opts,
    )
