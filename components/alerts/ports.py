"""What the alerts backend takes and gives."""

from dataclasses import dataclass

import pulumi

from components.encryption.ports import EncryptionOutputs


@dataclass(frozen=True)
class AlertsArgs:
    """`email` hears of alarms and of spending; `budget` is US dollars a month."""

    email: str
    budget: int
    encryption: EncryptionOutputs


@dataclass(frozen=True)
class AlertsOutputs:
    """`topic_arn` takes alarms of the stack's region, `global_topic_arn` those of us-east-1, where
    CloudFront has its metrics; the same topic when that is the stack's region."""

    topic_arn: pulumi.Output[str]
    global_topic_arn: pulumi.Output[str]
