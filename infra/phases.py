"""The roadmap's phases as data: what each consists of, what it must reach and what it may cost.

A component reads its part of a `Phase` and nothing else, so growing the product means editing this
table. Users, operations, budgets and limits are the roadmap's figures; sizes are for the AWS target
and scaled down by the local one, which runs every part on one machine.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class PostgresSize:
    """A PostgreSQL primary with its streaming replicas; with replicas one takes over by itself.

    `max_connections` (per server) bounds the sum of the app's pools, so that a spike waits in a
    pool and is never refused by the server.
    """

    max_connections: int
    shared_buffers_mb: int
    replicas: int = 0


@dataclass(frozen=True)
class RedisSize:
    """Redis, used as a cache and to carry ids of due jobs; never a source of truth.

    More than one shard makes a cluster, each shard with so many replicas. Memory is per server.
    """

    max_memory_mb: int
    shards: int = 1
    replicas: int = 0


@dataclass(frozen=True)
class CdnSize:
    """The cache before the site; `cache_mb` on disk."""

    cache_mb: int


@dataclass(frozen=True)
class Scaling:
    """When workers are added and taken away, between `WorkloadSize.workers` and `maximum`.

    One more when the oldest due job waits longer than `oldest_seconds` or when more than
    `jobs_per_worker` are due for each; one less after `calm_seconds` without either. `pool` are
    connections of the process that decides.
    """

    maximum: int
    oldest_seconds: float
    jobs_per_worker: int
    calm_seconds: float
    pool: int = 3


@dataclass(frozen=True)
class WorkloadSize:
    """The app's processes. Pools are connections per process to one server.

    `workers` is their number, with `scaling` their least. `bot_accounts` share the replies, each
    with its own write budget.
    """

    web_processes: int
    web_threads: int
    web_pool: int
    workers: int
    worker_threads: int
    reply_threads: int
    worker_pool: int
    ingest_pool: int = 4
    scaling: Scaling | None = None
    bot_accounts: int = 1

    @property
    def most_workers(self) -> int:
        return self.scaling.maximum if self.scaling else self.workers

    @property
    def connections(self) -> int:
        """PostgreSQL connections that all pools may hold together."""
        return (
            self.web_processes * self.web_pool
            + self.most_workers * self.worker_pool
            + self.ingest_pool
            + (self.scaling.pool if self.scaling else 0)
        )


@dataclass(frozen=True)
class Objectives:
    """What the phase must reach (the roadmap's success metrics). None: not stated for the phase."""

    bot_p95_seconds: float | None = None
    page_p95_seconds: float | None = None
    cache_hit_ratio: float | None = None
    database_connection_timeouts: int | None = None
    concurrency_over_previous_phase: float | None = None
    mentions_per_minute: float | None = None
    uptime_ratio: float | None = None
    replica_lag_p99_seconds: float | None = None
    cached_answer_p95_seconds: float | None = None


@dataclass(frozen=True)
class Phase:
    """One step of the roadmap. `budget` is US dollars a month, `bot_operations` are per day."""

    number: int
    users: int
    bot_operations: int
    budget: int
    postgres: PostgresSize
    redis: RedisSize | None
    workload: WorkloadSize
    objectives: Objectives
    cdn: CdnSize | None = None

    @property
    def name(self) -> str:
        return f"phase{self.number}"


PHASES: dict[int, Phase] = {
    0: Phase(
        number=0,
        users=1_000,
        bot_operations=1_000,
        budget=50,
        postgres=PostgresSize(max_connections=40, shared_buffers_mb=32),
        redis=None,
        workload=WorkloadSize(
            web_processes=1,
            web_threads=8,
            web_pool=8,
            workers=1,
            worker_threads=4,
            reply_threads=4,
            worker_pool=12,
        ),
        objectives=Objectives(),
    ),
    1: Phase(
        number=1,
        users=10_000,
        bot_operations=10_000,
        budget=100,
        postgres=PostgresSize(max_connections=80, shared_buffers_mb=64),
        redis=RedisSize(max_memory_mb=128),
        workload=WorkloadSize(
            web_processes=2,
            web_threads=16,
            web_pool=10,
            workers=2,
            worker_threads=4,
            reply_threads=4,
            worker_pool=12,
        ),
        objectives=Objectives(
            bot_p95_seconds=3.0,
            page_p95_seconds=1.0,
            cache_hit_ratio=0.8,
            database_connection_timeouts=0,
            concurrency_over_previous_phase=10.0,
        ),
    ),
    2: Phase(
        number=2,
        users=100_000,
        bot_operations=100_000,
        budget=300,
        postgres=PostgresSize(max_connections=200, shared_buffers_mb=128, replicas=2),
        redis=RedisSize(max_memory_mb=128, shards=3, replicas=1),
        workload=WorkloadSize(
            web_processes=3,
            web_threads=16,
            web_pool=10,
            workers=3,
            worker_threads=4,
            reply_threads=4,
            worker_pool=12,
            scaling=Scaling(maximum=5, oldest_seconds=2.0, jobs_per_worker=50, calm_seconds=60.0),
            bot_accounts=3,
        ),
        objectives=Objectives(
            bot_p95_seconds=3.0,
            page_p95_seconds=1.0,
            cache_hit_ratio=0.8,
            database_connection_timeouts=0,
            mentions_per_minute=100.0,
            uptime_ratio=0.999,
            replica_lag_p99_seconds=0.1,
            cached_answer_p95_seconds=1.0,
        ),
        cdn=CdnSize(cache_mb=256),
    ),
}
