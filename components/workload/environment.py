"""What each role of the app is told, whatever it runs on: its environment variables.

Where it listens, and who stands before it, is for the target to say.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.workload.ports import WorkloadArgs
from infra.phases import Scaling, WorkloadSize

Environment = dict[str, pulumi.Input[str]]

SECRET = frozenset(
    {
        "ADMIN_URL",
        "BLUESKY_COURIERS",
        "BLUESKY_PASSWORD",
        "DATABASE_URL",
        "OPERATOR_PASSWORD",
        "OWNER_PASSWORD",
        "ORIGIN_SECRET",
        "REDIS_URL",
        "REPLICA_URLS",
        "SECRET_KEY",
    }
)
"""Variables that nobody may read who need not: the secret ones of app/settings.py, and of the
role `provision`."""

# What a process needs to end, with some to spare.
WEB_STOP_SECONDS = 25  # gunicorn's patience with requests under way is 20 s
WORKER_STOP_SECONDS = 30  # a worker's with the jobs that it holds is 20 s; its leases last 30 s
STOP_SECONDS = 10


@dataclass(frozen=True)
class Keys:
    """What each stack makes for itself: `secret` signs, `operator_password` opens /operator."""

    secret: pulumi.Output[str]
    operator_password: pulumi.Output[str]


@dataclass(frozen=True)
class Environments:
    """By role. What a process is given is also what it waits for."""

    args: WorkloadArgs
    keys: Keys

    @property
    def migrate(self) -> Environment:
        return self._base

    @property
    def web(self) -> Environment:
        return (
            self._common
            | self._budget
            | {
                "WEB_THREADS": str(self._size.web_threads),
                "DATABASE_POOL": str(self._size.web_pool),
                "OPERATOR_PASSWORD": self.keys.operator_password,
            }
        )

    @property
    def ingest(self) -> Environment:
        return self._bot | {
            "BLUESKY_URL": self.args.bluesky.url,
            "DATABASE_POOL": str(self._size.ingest_pool),
        }

    @property
    def worker(self) -> Environment:
        return self._bot | {
            # Effects need no Bluesky, and replies wait for it by themselves.
            "BLUESKY_URL": self.args.bluesky.address,
            "WORKER_THREADS": str(self._size.worker_threads),
            "REPLY_THREADS": str(self._size.reply_threads),
            "DATABASE_POOL": str(self._size.worker_pool),
        }

    def autoscaler(self, scaling: Scaling) -> Environment:
        return (
            self._base
            | self._budget
            | {
                "DATABASE_POOL": str(scaling.pool),
                "AUTOSCALER_LEAST": str(self._size.workers),
                "AUTOSCALER_MOST": str(scaling.maximum),
                "AUTOSCALER_OLDEST_SECONDS": str(scaling.oldest_seconds),
                "AUTOSCALER_JOBS_PER_WORKER": str(scaling.jobs_per_worker),
                "AUTOSCALER_CALM_SECONDS": str(scaling.calm_seconds),
                "AUTOSCALER_ACCOUNTS": str(self._size.bot_accounts),
            }
        )

    @property
    def _size(self) -> WorkloadSize:
        return self.args.size

    @property
    def _base(self) -> Environment:
        return {
            "PHASE": str(self.args.phase.number),
            "DATABASE_URL": self.args.database.url,
            "REPLICA_URLS": self.args.database.replica_urls.apply(",".join),
            "PUBLIC_URL": self.args.public_url,
            "SECRET_KEY": self.keys.secret,
        }

    @property
    def _common(self) -> Environment:
        redis: Environment = {"REDIS_URL": self.args.redis.url} if self.args.redis else {}
        return (
            self._base
            | {"OPERATOR": self.args.operator, "BLUESKY_HANDLE": self.args.bluesky.handle}
            | redis
        )

    @property
    def _bot(self) -> Environment:
        """Only what talks to Bluesky gets the account's password."""
        return (
            self._common
            | self._budget
            | {
                "BLUESKY_PASSWORD": self.args.bluesky.password,
                "BLUESKY_COURIERS": self.args.bluesky.couriers,
                "BLUESKY_INGEST": self.args.ingest,
            }
        )

    @property
    def _budget(self) -> Environment:
        if self.args.write_points is None:
            return {}
        hour, day = self.args.write_points
        return {
            "BLUESKY_WRITE_POINTS_HOUR": str(hour),
            "BLUESKY_WRITE_POINTS_DAY": str(day),
        }


def split(values: Mapping[str, pulumi.Input[str]]) -> tuple[Environment, Environment]:
    """The variables that anybody may read, and those that are secret."""
    plain = {key: value for key, value in values.items() if key not in SECRET}
    return plain, {key: value for key, value in values.items() if key in SECRET}
