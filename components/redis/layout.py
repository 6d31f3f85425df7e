"""What is missing for a cluster to be whole, from what its nodes say. Pure functions.

Nothing here wants a certain node to be a primary: whatever layout covers all slots is left alone,
so that forming a cluster again after a failover changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

SLOTS = 16384

Command = tuple[str | int, ...]


@dataclass(frozen=True)
class Peer:
    """A node as one node knows it. `slots` are those that a primary has."""

    id: str
    flags: frozenset[str]
    primary: str | None
    slots: frozenset[int] = frozenset()
    epoch: int = 0

    @property
    def known(self) -> bool:
        """Whether they have met: until then a node goes by a made-up id."""
        return "handshake" not in self.flags


@dataclass(frozen=True)
class Node:
    """A node that answers: its ports, and what it knows of itself and the others."""

    port: int
    bus: int
    id: str
    peers: Mapping[str, Peer] = field(default_factory=dict)

    @property
    def me(self) -> Peer:
        return self.peers[self.id]

    @property
    def blank(self) -> bool:
        """Whether it has never been part of a cluster."""
        return len(self.peers) == 1 and not self.me.slots and self.me.epoch == 0


Step = tuple[Node, Command]


def parse(port: int, bus: int, table: str) -> Node:
    """A node from its answer to CLUSTER NODES."""
    peers = [_peer(line.split()) for line in table.splitlines() if line]
    (own,) = [peer.id for peer in peers if "myself" in peer.flags]
    return Node(port, bus, own, {peer.id: peer for peer in peers})


def _peer(words: Sequence[str]) -> Peer:
    id_, _address, flags, primary, _ping, _pong, epoch, _link, *slots = words
    return Peer(
        id=id_,
        flags=frozenset(flags.split(",")),
        primary=None if primary == "-" else primary,
        slots=frozenset(_expand(slots)),
        epoch=int(epoch),
    )


def _expand(ranges: Sequence[str]) -> Iterator[int]:
    for text in ranges:
        if text.startswith("["):  # a slot that is being moved is with its old node still
            continue
        first, _, last = text.partition("-")
        yield from range(int(first), int(last or first) + 1)


def plan(nodes: Sequence[Node], shards: int) -> list[Step]:
    """The next commands on the way to one whole cluster; none when its layout is complete.

    Each kind needs the one before to have reached every node, so there is one at a time.
    """
    kinds = (
        _number(nodes),
        _meet(nodes),
        _inherit(nodes),
        _forget(nodes),
        _cover(nodes, shards),
        _attach(nodes),
    )
    return next((steps for kind in kinds if (steps := list(kind))), [])


def settled(nodes: Sequence[Node]) -> bool:
    """Whether all nodes know the same nodes, healthy, with the same slots and roles."""
    views = [
        {
            peer.id: (peer.primary, peer.slots)
            for peer in node.peers.values()
            if not peer.flags & {"fail", "fail?", "handshake", "noaddr"}
        }
        for node in nodes
    ]
    return all(view == views[0] and len(view) == len(nodes) for view in views)


def _number(nodes: Sequence[Node]) -> Iterator[Step]:
    """Blank nodes get epochs of their own, so that they need not sort out equal ones."""
    if all(node.blank for node in nodes):
        for number, node in enumerate(nodes, 1):
            yield node, ("CLUSTER", "SET-CONFIG-EPOCH", number)


def _meet(nodes: Sequence[Node]) -> Iterator[Step]:
    for one in nodes:
        for other in nodes:
            peer = one.peers.get(other.id)
            if peer is None or not peer.known or "noaddr" in peer.flags:
                yield one, ("CLUSTER", "MEET", "127.0.0.1", other.port, other.bus)


def _inherit(nodes: Sequence[Node]) -> Iterator[Step]:
    """Replicas of a primary that was replaced: there may be too few primaries to elect them."""
    gone = _gone(nodes)
    for node in nodes:
        if node.me.primary in gone:
            yield node, ("CLUSTER", "FAILOVER", "TAKEOVER")


def _forget(nodes: Sequence[Node]) -> Iterator[Step]:
    gone = _gone(nodes)
    for node in nodes:
        for id_ in gone & node.peers.keys():
            yield node, ("CLUSTER", "FORGET", id_)


def _gone(nodes: Sequence[Node]) -> set[str]:
    """Ids of nodes that were replaced: the living have other ones."""
    known = {id_ for node in nodes for id_, peer in node.peers.items() if peer.known}
    return known - {node.id for node in nodes}


def _cover(nodes: Sequence[Node], shards: int) -> Iterator[Step]:
    """Slots that nobody has go to as many primaries as there should be."""
    owned = [node.me.slots for node in nodes if node.me.slots]
    missing = sorted(set(range(SLOTS)).difference(*owned))
    if not missing:
        return
    wanted = shards - len(owned)
    able = [n for n in nodes if n.me.primary is None and (n.me.slots or wanted > 0)]
    heirs = sorted(able, key=lambda node: len(node.me.slots))[: max(1, wanted)]
    for number, heir in enumerate(heirs):
        start, end = (len(missing) * at // len(heirs) for at in (number, number + 1))
        for first, last in _ranges(missing[start:end]):
            yield heir, ("CLUSTER", "ADDSLOTSRANGE", first, last)


def _ranges(slots: Sequence[int]) -> Iterator[tuple[int, int]]:
    first = last = slots[0]
    for slot in slots[1:]:
        if slot != last + 1:
            yield first, last
            first = slot
        last = slot
    yield first, last


def _attach(nodes: Sequence[Node]) -> Iterator[Step]:
    """Nodes without slots become replicas of the primaries that have the fewest."""
    replicas = {node.id: 0 for node in nodes if node.me.slots}
    idle = []
    for node in nodes:
        if node.me.primary in replicas:
            replicas[node.me.primary] += 1
        elif not node.me.slots:
            idle.append(node)
    for node in idle:
        primary = min(replicas, key=lambda id_: replicas[id_])
        replicas[primary] += 1
        if node.me.primary is None:
            yield node, ("FLUSHALL",)  # only an empty primary may become a replica
        yield node, ("CLUSTER", "REPLICATE", primary)
