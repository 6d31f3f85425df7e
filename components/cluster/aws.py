"""The cluster on AWS: machines of the chosen kind, then what every cluster has in it."""

from dataclasses import fields

import pulumi

from components.cluster import addons, eks, k3s, machines
from components.cluster.nodes import Nodes
from components.cluster.ports import ClusterArgs, ClusterOutputs
from components.target import AwsAccount


def build(
    name: str, args: ClusterArgs, target: AwsAccount, opts: pulumi.ResourceOptions
) -> ClusterOutputs:
    kind = eks if args.size.distribution == "eks" else k3s
    nodes = kind.build(name, args, target, opts)
    installed = addons.build(name, args, nodes.provider, target, opts)
    stores = machines.stores(target)
    return ClusterOutputs(
        **{field.name: getattr(nodes, field.name) for field in fields(Nodes)},
        storage_class=addons.STORAGE_CLASS if stores else addons.LOCAL_STORAGE_CLASS,
        addons=installed,
    )
