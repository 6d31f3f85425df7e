"""A VPC with machines in public subnets, or behind a NAT gateway, and data in isolated ones.

Nobody gets a shell by address: machines are reached through Session Manager.
"""

import json
from collections.abc import Sequence
from ipaddress import IPv4Network

import pulumi
import pulumi_aws as aws

from components.network.ports import NetworkArgs, NetworkOutputs
from components.target import AwsAccount
from infra.addresses import layout

LOG_DAYS = 30


def build(
    name: str, args: NetworkArgs, target: AwsAccount, opts: pulumi.ResourceOptions
) -> NetworkOutputs:
    plan = layout(args.size.cidr, args.size.zones)
    vpc = aws.ec2.Vpc(
        f"{name}-vpc",
        cidr_block=args.size.cidr,
        enable_dns_support=True,
        enable_dns_hostnames=True,
        tags=target.tags("network", f"{name}-vpc"),
        opts=opts,
    )
    # Whoever forgets to name a security group gets this one, which lets nothing through.
    aws.ec2.DefaultSecurityGroup(
        f"{name}-default",
        vpc_id=vpc.id,
        ingress=[],
        egress=[],
        tags=target.tags("network", f"{name}-default"),
        opts=opts,
    )
    subnets = _Subnets(name, vpc, target, opts)
    public, to_internet = subnets.of("public", plan.public)
    internet = aws.ec2.InternetGateway(
        f"{name}-internet",
        vpc_id=vpc.id,
        tags=target.tags("network", f"{name}-internet"),
        opts=opts,
    )
    aws.ec2.Route(
        f"{name}-public-internet",
        route_table_id=to_internet.id,
        destination_cidr_block="0.0.0.0/0",
        gateway_id=internet.id,
        opts=opts,
    )
    isolated, to_nowhere = subnets.of("isolated", plan.isolated)
    nodes, tables = public, [to_internet, to_nowhere]
    if args.size.nat == "gateway":
        nodes, to_nat = subnets.of("private", plan.private)
        _nat(name, public[0], to_nat, internet, target, opts)
        tables.append(to_nat)
    # Backups and assets reach S3 without passing the internet or the NAT gateway's meter.
    aws.ec2.VpcEndpoint(
        f"{name}-s3",
        vpc_id=vpc.id,
        service_name=f"com.amazonaws.{target.region}.s3",
        vpc_endpoint_type="Gateway",
        route_table_ids=[table.id for table in tables],
        tags=target.tags("network", f"{name}-s3"),
        opts=opts,
    )
    _flow_log(name, vpc, args.encryption.key_arn, target, opts)
    return NetworkOutputs(
        vpc_id=vpc.id,
        cidr=args.size.cidr,
        public_subnet_ids=[subnet.id for subnet in public],
        node_subnet_ids=[subnet.id for subnet in nodes],
        isolated_subnet_ids=[subnet.id for subnet in isolated],
    )


class _Subnets:
    """Makes the subnets of one kind, with the route table that they share."""

    def __init__(
        self, name: str, vpc: aws.ec2.Vpc, target: AwsAccount, opts: pulumi.ResourceOptions
    ) -> None:
        self.name, self.vpc, self.target, self.opts = name, vpc, target, opts

    def of(
        self, kind: str, networks: Sequence[IPv4Network]
    ) -> tuple[list[aws.ec2.Subnet], aws.ec2.RouteTable]:
        table = aws.ec2.RouteTable(
            f"{self.name}-{kind}",
            vpc_id=self.vpc.id,
            tags=self.target.tags("network", f"{self.name}-{kind}"),
            opts=self.opts,
        )
        subnets = []
        for zone, network in zip(self.target.zones, networks, strict=True):
            unique = f"{self.name}-{kind}-{zone[-1]}"
            subnet = aws.ec2.Subnet(
                unique,
                vpc_id=self.vpc.id,
                availability_zone=zone,
                cidr_block=str(network),
                map_public_ip_on_launch=kind == "public",
                tags=self.target.tags("network", unique),
                opts=self.opts,
            )
            aws.ec2.RouteTableAssociation(
                f"{unique}-routes", subnet_id=subnet.id, route_table_id=table.id, opts=self.opts
            )
            subnets.append(subnet)
        return subnets, table


def _nat(
    name: str,
    subnet: aws.ec2.Subnet,
    table: aws.ec2.RouteTable,
    internet: aws.ec2.InternetGateway,
    target: AwsAccount,
    opts: pulumi.ResourceOptions,
) -> None:
    """One for all zones: a second one costs as much as the machines behind it."""
    needs_internet = pulumi.ResourceOptions.merge(
        opts, pulumi.ResourceOptions(depends_on=[internet])
    )
    address = aws.ec2.Eip(
        f"{name}-nat-address",
        domain="vpc",
        tags=target.tags("network", f"{name}-nat-address"),
        opts=needs_internet,
    )
    gateway = aws.ec2.NatGateway(
        f"{name}-nat",
        allocation_id=address.allocation_id,
        subnet_id=subnet.id,
        tags=target.tags("network", f"{name}-nat"),
        opts=needs_internet,
    )
    aws.ec2.Route(
        f"{name}-private-internet",
        route_table_id=table.id,
        destination_cidr_block="0.0.0.0/0",
        nat_gateway_id=gateway.id,
        opts=opts,
    )


def _flow_log(
    name: str,
    vpc: aws.ec2.Vpc,
    key_arn: pulumi.Output[str],
    target: AwsAccount,
    opts: pulumi.ResourceOptions,
) -> None:
    """What was refused, which is little and what one asks for; all traffic would cost more than
    the machines."""
    group = aws.cloudwatch.LogGroup(
        f"{name}-flow-logs",
        retention_in_days=LOG_DAYS,
        kms_key_id=key_arn,
        tags=target.tags("network", f"{name}-flow-logs"),
        opts=opts,
    )
    role = aws.iam.Role(
        f"{name}-flow-role",
        description="Writes the log of refused traffic",
        assume_role_policy=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"Service": "vpc-flow-logs.amazonaws.com"},
                        "Action": "sts:AssumeRole",
                        "Condition": {"StringEquals": {"aws:SourceAccount": target.account_id}},
                    }
                ],
            }
        ),
        tags=target.tags("network", f"{name}-flow-role"),
        opts=opts,
    )
    policy = aws.iam.RolePolicy(
        f"{name}-flow-policy",
        role=role.id,
        policy=pulumi.Output.json_dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Action": [
                            "logs:CreateLogStream",
                            "logs:PutLogEvents",
                            "logs:DescribeLogStreams",
                        ],
                        "Resource": [group.arn, pulumi.Output.concat(group.arn, ":*")],
                    }
                ],
            }
        ),
        opts=opts,
    )
    aws.ec2.FlowLog(
        f"{name}-flow-log",
        vpc_id=vpc.id,
        traffic_type="REJECT",
        log_destination_type="cloud-watch-logs",
        log_destination=group.arn,
        iam_role_arn=role.arn,
        max_aggregation_interval=600,
        tags=target.tags("network", f"{name}-flow-log"),
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[policy])),
    )
