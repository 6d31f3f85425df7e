"""What stands under a stack on AWS: its key, alerts, names, network and cluster, in this order."""

from dataclasses import fields, replace

import pulumi_aws as aws

from components.alerts import Alerts, AlertsArgs
from components.cluster import Cluster, ClusterArgs
from components.dns import Dns, DnsArgs
from components.encryption import Encryption, EncryptionArgs
from components.network import Network, NetworkArgs
from components.target import AwsAccount, AwsTarget


def lay(account: AwsAccount) -> AwsTarget:
    """Lays the foundations and gives what all other components stand on.

    Credentials of another account than `account.account_id` are refused by the provider.
    """
    provider = aws.Provider(
        "aws",
        region=account.region,
        allowed_account_ids=[account.account_id],
    )
    ground = replace(account, providers=(provider,))
    encryption = Encryption("encryption", EncryptionArgs(), ground).outputs
    alerts = Alerts(
        "alerts", AlertsArgs(ground.alert_email, ground.budget, encryption), ground
    ).outputs
    dns = Dns("dns", DnsArgs(ground.hosted_zone_id), ground).outputs
    network = Network("network", NetworkArgs(ground.size.network, encryption), ground).outputs
    cluster = Cluster(
        "cluster",
        ClusterArgs(
            size=ground.size.cluster,
            origin=ground.origin,
            dns=dns,
            network=network,
            encryption=encryption,
            alerts=alerts,
        ),
        ground,
    ).outputs
    known = {field.name: getattr(ground, field.name) for field in fields(AwsAccount)}
    return AwsTarget(
        **known | {"providers": (provider, cluster.provider)},
        encryption=encryption,
        alerts=alerts,
        dns=dns,
        network=network,
        cluster=cluster,
    )
