"""k3s: one server that also runs pods, agents, and spot machines for the workers.

The server's state (SQLite, certificates of Traefik) is on a volume of its own and its address on an
interface of its own, so that a change of its template replaces the machine within minutes and the
cluster stays the same.
"""

import json
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from components.alarms import alarm
from components.cluster import machines, user_data
from components.cluster.certificates import Authorities, authorities, kubeconfig
from components.cluster.cost import ROOT_GB
from components.cluster.nodes import Nodes
from components.cluster.ports import SPOT, ClusterArgs
from components.target import AwsAccount
from infra.addresses import PODS, SERVICES
from infra.aws_sizes import AwsMachines

VERSION = "v1.35.5+k3s1"
_API = 6443
_READY_SECONDS = 900
_ROTATION_DAYS = 30
_TLS = "/var/lib/rancher/k3s/server/tls"
_ETC = "/etc/rancher/k3s"


def build(name: str, args: ClusterArgs, target: AwsAccount, opts: pulumi.ResourceOptions) -> Nodes:
    own = authorities(name, opts)
    logs = machines.log_group(name, args, target, opts)
    nodes = machines.nodes_security_group(name, args, target, opts)
    server = _Server(name, args, target, opts, own, logs, nodes)
    groups = {}
    if args.size.agents or args.size.spot:
        join = _secret(
            f"{name}-join", "Lets machines into the cluster", join_files(own), args, target, opts
        )
        joined = _Joining(name, args, target, opts, server, join, logs, nodes)
        if args.size.agents:
            groups["agents"] = joined.group("agents", args.size.agents, server.role)
        if args.size.spot:
            groups["spot"] = joined.group("spot", args.size.spot, joined.role())
    config: pulumi.Output[str] = pulumi.Output.secret(
        pulumi.Output.all(
            server.address.public_ip,
            own.server.certificate,
            own.operator.certificate,
            own.operator.key,
        ).apply(lambda all_: kubeconfig(f"https://{all_[0]}:{_API}", *all_[1:]))
    )
    provider = kubernetes.Provider(
        f"{name}-api",
        kubeconfig=config,
        cluster_identifier=f"{target.stack}-k3s",
        enable_server_side_apply=True,
        opts=pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(depends_on=[server.ready, *groups.values()])
        ),
    )
    return Nodes(
        kubeconfig=config,
        provider=provider,
        address=server.address.public_ip,
        address_kind="A",
        node_security_group_id=nodes.id,
        machines={
            "server": server.instance.id,
            **{key: group.name for key, group in groups.items()},
        },
        node_role_name=server.role.role.name,
    )


def server_files(own: Authorities) -> Mapping[str, pulumi.Output[str]]:
    """What the server finds before it starts first: it makes its own of whatever is missing."""
    return {
        f"{_TLS}/server-ca.crt": own.server.certificate,
        f"{_TLS}/server-ca.key": own.server.key,
        f"{_TLS}/client-ca.crt": own.client.certificate,
        f"{_TLS}/client-ca.key": own.client.key,
        f"{_ETC}/token": own.server_token,
        f"{_ETC}/agent-token": own.agent_token,
    }


def join_files(own: Authorities) -> Mapping[str, pulumi.Output[str]]:
    return {
        f"{_ETC}/server-ca.crt": own.server.certificate,
        f"{_ETC}/agent-password": own.agent_token,
    }


def server_config(names: list[str]) -> dict[str, Any]:
    """k3s's configuration; `names` are those by which the API is called from outside."""
    return {
        "token-file": f"{_ETC}/token",
        "agent-token-file": f"{_ETC}/agent-token",
        "tls-san": names,
        "cluster-cidr": str(PODS),
        "service-cidr": str(SERVICES),
        "secrets-encryption": True,
        "write-kubeconfig-mode": "0600",
        # Traefik comes by Helm, as it does to EKS.
        "disable": ["traefik"],
        "disable-helm-controller": True,
        # The machine whose ports 80 and 443 are the site's.
        "node-label": [
            "etcetera.exchange/machine=server",
            "svccontroller.k3s.cattle.io/enablelb=true",
        ],
    }


def agent_config(server: str, kind: str) -> dict[str, Any]:
    """`server` is its private address, `kind` agents or spot."""
    config: dict[str, Any] = {
        "server": f"https://{server}:{_API}",
        "token-file": f"{_ETC}/token",
        "node-label": [f"etcetera.exchange/machine={kind}"],
    }
    if kind == "spot":
        config["node-label"].append(f"{SPOT}=true")
        config["node-taint"] = [f"{SPOT}=true:NoSchedule"]
    return config


def _secret(
    unique: str,
    description: str,
    files: Mapping[str, pulumi.Output[str]],
    args: ClusterArgs,
    target: AwsAccount,
    opts: pulumi.ResourceOptions,
) -> aws.secretsmanager.Secret:
    """Files by path, which a machine fetches when it starts."""
    secret = aws.secretsmanager.Secret(
        unique,
        description=description,
        kms_key_id=args.encryption.key_arn,
        tags=target.tags("cluster", unique),
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(protect=target.protect)),
    )
    content: pulumi.Output[str] = pulumi.Output.secret(pulumi.Output.json_dumps(dict(files)))
    aws.secretsmanager.SecretVersion(
        f"{unique}-version",
        secret_id=secret.id,
        secret_string=content,
        opts=opts,
    )
    return secret


def _reads(
    args: ClusterArgs, target: AwsAccount, *secrets: aws.secretsmanager.Secret
) -> list[dict[str, Any]]:
    return [
        {
            "Effect": "Allow",
            "Action": "secretsmanager:GetSecretValue",
            "Resource": [secret.arn for secret in secrets],
        },
        {
            "Effect": "Allow",
            "Action": "kms:Decrypt",
            "Resource": args.encryption.key_arn,
            "Condition": {
                "StringEquals": {"kms:ViaService": f"secretsmanager.{target.region}.amazonaws.com"}
            },
        },
    ]


class _Server:
    """The machine with what outlives it: its address, its interface and its volume."""

    def __init__(
        self,
        name: str,
        args: ClusterArgs,
        target: AwsAccount,
        opts: pulumi.ResourceOptions,
        own: Authorities,
        logs: aws.cloudwatch.LogGroup,
        nodes: aws.ec2.SecurityGroup,
    ) -> None:
        unique, size = f"{name}-server", args.size.server
        interface = aws.ec2.NetworkInterface(
            f"{unique}-interface",
            subnet_id=args.network.public_subnet_ids[0],
            security_groups=[nodes.id, _doors(unique, args, target, opts).id],
            description=f"The cluster of stack {target.stack}",
            tags=target.tags("cluster", f"{unique}-interface"),
            opts=opts,
        )
        self.private_ip = interface.private_ip
        self.address = aws.ec2.Eip(
            f"{unique}-address",
            domain="vpc",
            network_interface=interface.id,
            tags=target.tags("cluster", f"{unique}-address"),
            opts=opts,
        )
        state = aws.ebs.Volume(
            f"{unique}-state",
            availability_zone=target.zones[0],
            type="gp3",
            size=size.disk_gb,
            encrypted=True,
            kms_key_id=args.encryption.key_arn,
            tags=target.tags("cluster", f"{unique}-state"),
            opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(protect=target.protect)),
        )
        authority = _secret(
            f"{name}-authority",
            "Signs what the cluster shows and whom it believes",
            server_files(own),
            args,
            target,
            opts,
        )
        self.role = machines.Role(
            f"{name}-nodes-role",
            logs,
            target,
            opts,
            statements=[
                *_reads(args, target, authority),
                *(machines.encrypted_disks(args) if machines.stores(target) else []),
            ],
            policies={"disks": "service-role/AmazonEBSCSIDriverPolicy"}
            if machines.stores(target)
            else {},
        )
        self.instance = self._machine(unique, args, target, opts, interface, state, authority, logs)
        attached = aws.ec2.VolumeAttachment(
            f"{unique}-state-attached",
            instance_id=self.instance.id,
            volume_id=state.id,
            device_name="/dev/sdf",
            stop_instance_before_detaching=True,
            # A volume is attached to one machine at a time.
            opts=pulumi.ResourceOptions.merge(
                opts, pulumi.ResourceOptions(delete_before_replace=True)
            ),
        )
        self.ready = _answers(name, self.instance, [attached, self.address], target, opts)
        _alarms(unique, self.instance, args, target, opts)

    def _machine(
        self,
        unique: str,
        args: ClusterArgs,
        target: AwsAccount,
        opts: pulumi.ResourceOptions,
        interface: aws.ec2.NetworkInterface,
        state: aws.ebs.Volume,
        authority: aws.secretsmanager.Secret,
        logs: aws.cloudwatch.LogGroup,
    ) -> aws.ec2.Instance:
        profile = _profile(unique, self.role, target, opts)
        script = pulumi.Output.all(
            address=self.address.public_ip, state=state.id, authority=authority.arn, logs=logs.name
        ).apply(
            lambda known: user_data.encoded(
                user_data.script(
                    {
                        "REGION": target.region,
                        "AUTHORITY": known["authority"],
                        "STATE_VOLUME": known["state"],
                        "K3S_VERSION": VERSION,
                        "K3S_CONFIG": json.dumps(server_config([known["address"], args.origin])),
                        "KUBELET_CONFIG": user_data.KUBELET,
                        "LOG_AGENT": user_data.log_agent(known["logs"], figures=True),
                    },
                    ["machine", "k3s", "server"],
                )
            )
        )
        template = machines.launch_template(
            unique,
            args,
            target,
            opts,
            script=script,
            disk_gb=ROOT_GB,
            image_id=machines.IMAGE,
            instance_type=args.size.server.type,
            credit_specification=_credits(args.size.server),
            iam_instance_profile=aws.ec2.LaunchTemplateIamInstanceProfileArgs(arn=profile.arn),
        )
        return aws.ec2.Instance(
            unique,
            launch_template=aws.ec2.InstanceLaunchTemplateArgs(
                id=template.id, version=template.latest_version.apply(lambda n: str(int(n)))
            ),
            primary_network_interface=aws.ec2.InstancePrimaryNetworkInterfaceArgs(
                network_interface_id=interface.id
            ),
            tags=target.tags("cluster", unique),
            # The interface and the volume belong to one machine at a time.
            opts=pulumi.ResourceOptions.merge(
                opts,
                pulumi.ResourceOptions(delete_before_replace=True, depends_on=self.role.ready),
            ),
        )


def _doors(
    unique: str, args: ClusterArgs, target: AwsAccount, opts: pulumi.ResourceOptions
) -> aws.ec2.SecurityGroup:
    """The server's own: the site for everybody, the API for operators."""
    group = machines.security_group(f"{unique}-doors", "The site and the API", args, target, opts)
    site = {f"site-{port}": (port, "0.0.0.0/0") for port in (80, 443)}
    api = {
        f"api-{cidr.replace('.', '-').replace('/', '-')}": (_API, cidr)
        for cidr in target.operator_cidrs
    }
    for what, (port, cidr) in (site | api).items():
        aws.vpc.SecurityGroupIngressRule(
            f"{unique}-{what}",
            security_group_id=group.id,
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
            cidr_ipv4=cidr,
            description="The site" if port != _API else "Operators",
            tags=target.tags("cluster", f"{unique}-{what}"),
            opts=opts,
        )
    return group


def _profile(
    unique: str, role: machines.Role, target: AwsAccount, opts: pulumi.ResourceOptions
) -> aws.iam.InstanceProfile:
    return aws.iam.InstanceProfile(
        f"{unique}-profile",
        role=role.role.name,
        tags=target.tags("cluster", f"{unique}-profile"),
        opts=opts,
    )


def _credits(size: AwsMachines) -> aws.ec2.LaunchTemplateCreditSpecificationArgs | None:
    """A machine that starts has no credits yet, and slows down without; an alarm says when those on
    loan cost money."""
    if not all(one.startswith("t") for one in size.types):
        return None
    return aws.ec2.LaunchTemplateCreditSpecificationArgs(cpu_credits="unlimited")


def _answers(
    name: str,
    instance: aws.ec2.Instance,
    needs: list[pulumi.Resource],
    target: AwsAccount,
    opts: pulumi.ResourceOptions,
) -> aws.ssm.Association:
    """Is there once the API is ready: the machine itself is asked, by Session Manager's agent."""
    ask = (
        f"timeout {_READY_SECONDS} sh -c "
        "'until /usr/local/bin/k3s kubectl get --raw /readyz; do sleep 5; done'"
    )
    return aws.ssm.Association(
        f"{name}-ready",
        association_name=f"etcetera-{target.stack}-ready",
        name="AWS-RunShellScript",
        targets=[aws.ssm.AssociationTargetArgs(key="InstanceIds", values=[instance.id])],
        parameters={"commands": ask},
        wait_for_success_timeout_seconds=_READY_SECONDS + 300,  # to start at all
        tags=target.tags("cluster", f"{name}-ready"),
        opts=pulumi.ResourceOptions.merge(
            opts,
            pulumi.ResourceOptions(
                depends_on=needs, replace_on_changes=["targets"], delete_before_replace=True
            ),
        ),
    )


def _alarms(
    unique: str,
    instance: aws.ec2.Instance,
    args: ClusterArgs,
    target: AwsAccount,
    opts: pulumi.ResourceOptions,
) -> None:
    def watch(what: str, why: str, **choices: Any) -> None:
        dimensions = {"InstanceId": instance.id, **choices.pop("within", {})}
        alarm(
            f"{unique}-{what}",
            target,
            "cluster",
            why=why,
            dimensions=dimensions,
            alerts=args.alerts,
            opts=opts,
            **choices,
        )

    automate = f"arn:aws:automate:{target.region}:ec2"
    watch(
        "host",
        "The host of the server is broken; AWS moves the machine to another one",
        namespace="AWS/EC2",
        metric="StatusCheckFailed_System",
        statistic="Maximum",
        above=0,
        minutes=1,
        periods=2,
        actions=[f"{automate}:recover"],
    )
    watch(
        "system",
        "The server does not answer its own network; it is restarted",
        namespace="AWS/EC2",
        metric="StatusCheckFailed_Instance",
        statistic="Maximum",
        above=0,
        minutes=1,
        periods=5,
        actions=[f"{automate}:reboot"],
    )
    watch(
        "cpu",
        "The server has been busy for a quarter of an hour; choose a larger nodeType",
        namespace="AWS/EC2",
        metric="CPUUtilization",
        above=85,
    )
    if args.size.server.type.startswith("t"):
        watch(
            "credits",
            "The server uses more processor than its type includes, which costs extra; choose a "
            "larger nodeType",
            namespace="AWS/EC2",
            metric="CPUSurplusCreditsCharged",
            statistic="Maximum",
            above=0,
            periods=1,
        )
    watch(
        "memory",
        "The server is short of memory, pods will be stopped; choose a larger nodeType",
        namespace=user_data.NAMESPACE,
        metric="mem_used_percent",
        above=90,
        missing="breaching",
    )
    for what, path in (("disk", user_data.ROOT_DISK), ("state", user_data.STATE_DISK)):
        watch(
            f"{what}-full",
            f"The file system {path} of the server is nearly full; see what grows there",
            namespace=user_data.NAMESPACE,
            metric="disk_used_percent",
            within={"path": path, "fstype": "xfs"},
            above=80,
        )


class _Joining:
    """Groups of machines that join the server."""

    def __init__(
        self,
        name: str,
        args: ClusterArgs,
        target: AwsAccount,
        opts: pulumi.ResourceOptions,
        server: _Server,
        join: aws.secretsmanager.Secret,
        logs: aws.cloudwatch.LogGroup,
        nodes: aws.ec2.SecurityGroup,
    ) -> None:
        self.name, self.args, self.target, self.opts = name, args, target, opts
        self.server, self.join, self.logs, self.nodes = server, join, logs, nodes

    def role(self) -> machines.Role:
        return machines.Role(f"{self.name}-spot-role", self.logs, self.target, self.opts)

    def group(self, kind: str, size: AwsMachines, role: machines.Role) -> aws.autoscaling.Group:
        """So many machines, replaced one by one when their template changes or they are a month
        old, so that they have the newest image."""
        name, args, target, opts = self.name, self.args, self.target, self.opts
        unique = f"{name}-{kind}"
        reads = aws.iam.RolePolicy(
            f"{unique}-join",
            role=role.role.id,
            policy=pulumi.Output.json_dumps(
                {"Version": "2012-10-17", "Statement": _reads(args, target, self.join)}
            ),
            opts=opts,
        )
        script = pulumi.Output.all(
            server=self.server.private_ip, join=self.join.arn, logs=self.logs.name
        ).apply(
            lambda known: user_data.encoded(
                user_data.script(
                    {
                        "REGION": target.region,
                        "JOIN": known["join"],
                        "K3S_VERSION": VERSION,
                        "K3S_CONFIG": json.dumps(agent_config(known["server"], kind)),
                        "KUBELET_CONFIG": user_data.KUBELET,
                        "LOG_AGENT": user_data.log_agent(known["logs"], figures=False),
                    },
                    ["machine", "k3s", "agent"],
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
            image_id=machines.IMAGE,
            instance_type=size.type,
            credit_specification=_credits(size),
            vpc_security_group_ids=[self.nodes.id],
            iam_instance_profile=aws.ec2.LaunchTemplateIamInstanceProfileArgs(
                arn=_profile(unique, role, target, opts).arn
            ),
        )
        group = aws.autoscaling.Group(
            unique,
            min_size=size.count,
            max_size=size.count,
            desired_capacity=size.count,
            vpc_zone_identifiers=list(args.network.node_subnet_ids),
            health_check_type="EC2",
            health_check_grace_period=300,
            default_instance_warmup=180,
            # A database would fail over each time.
            max_instance_lifetime=None
            if machines.stores(target) and kind == "agents"
            else _ROTATION_DAYS * 86_400,
            enabled_metrics=[aws.autoscaling.Metric.GROUP_IN_SERVICE_INSTANCES],
            instance_refresh=aws.autoscaling.GroupInstanceRefreshArgs(
                strategy="Rolling",
                preferences=aws.autoscaling.GroupInstanceRefreshPreferencesArgs(
                    # A new one is there before an old one goes.
                    min_healthy_percentage=100,
                    max_healthy_percentage=150,
                ),
            ),
            tags=[
                aws.autoscaling.GroupTagArgs(key=key, value=value, propagate_at_launch=True)
                for key, value in target.tags("cluster", unique).items()
            ],
            opts=pulumi.ResourceOptions.merge(
                opts, pulumi.ResourceOptions(depends_on=[*role.ready, reads])
            ),
            **_bought(kind, size, template),
        )
        alarm(
            f"{unique}-missing",
            target,
            "cluster",
            why=f"There are fewer machines ({kind}) than there should be; see the group's activity",
            namespace="AWS/AutoScaling",
            metric="GroupInServiceInstances",
            dimensions={"AutoScalingGroupName": group.name},
            statistic="Minimum",
            below=size.count,
            periods=4,
            missing="breaching",
            alerts=args.alerts,
            opts=opts,
        )
        return group


def _bought(kind: str, size: AwsMachines, template: aws.ec2.LaunchTemplate) -> dict[str, Any]:
    """How a group gets its machines; spot ones are of whatever type is least likely to be taken."""
    version = template.latest_version.apply(lambda n: str(int(n)))
    if kind != "spot":
        return {
            "launch_template": aws.autoscaling.GroupLaunchTemplateArgs(
                id=template.id, version=version
            )
        }
    mixed = aws.autoscaling
    return {
        "capacity_rebalance": True,
        "mixed_instances_policy": mixed.GroupMixedInstancesPolicyArgs(
            instances_distribution=mixed.GroupMixedInstancesPolicyInstancesDistributionArgs(
                on_demand_base_capacity=0,
                on_demand_percentage_above_base_capacity=0,
                spot_allocation_strategy="price-capacity-optimized",
            ),
            launch_template=mixed.GroupMixedInstancesPolicyLaunchTemplateArgs(
                launch_template_specification=(
                    mixed.GroupMixedInstancesPolicyLaunchTemplateLaunchTemplateSpecificationArgs(
                        launch_template_id=template.id, version=version
                    )
                ),
                overrides=[
                    mixed.GroupMixedInstancesPolicyLaunchTemplateOverrideArgs(instance_type=type_)
                    for type_ in size.types
                ],
            ),
        ),
    }
