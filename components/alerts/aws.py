"""Topics that send mail, a budget and a watch on unusual spending.

Mail comes after its reader has confirmed the subscription. Budget and watch look at what is tagged
with the stack, which an account counts once the tag `stack` is activated for cost allocation
(docs/aws.md).
"""

import json
from typing import Any

import pulumi
import pulumi_aws as aws

from components.alarms import GLOBAL_REGION
from components.alerts.ports import AlertsArgs, AlertsOutputs
from components.encryption.aws import PUBLISHERS
from components.target import AwsAccount

_ANOMALY_SHARE = 0.1  # of the budget: less is no news


def build(
    name: str, args: AlertsArgs, target: AwsAccount, opts: pulumi.ResourceOptions
) -> AlertsOutputs:
    topic = _topic(name, args, target, target.region, args.encryption.key_arn, opts)
    if target.region == GLOBAL_REGION:
        everywhere = topic
    else:
        key = args.encryption.global_key_arn
        everywhere = _topic(f"{name}-global", args, target, GLOBAL_REGION, key, opts)
    _budget(name, args, target, everywhere, opts)
    _anomalies(name, args, target, everywhere, opts)
    return AlertsOutputs(topic_arn=topic, global_topic_arn=everywhere)


def _topic(
    name: str,
    args: AlertsArgs,
    target: AwsAccount,
    region: str,
    key_arn: pulumi.Output[str],
    opts: pulumi.ResourceOptions,
) -> pulumi.Output[str]:
    topic = aws.sns.Topic(
        f"{name}-topic",
        display_name=f"etcetera {target.stack}",
        kms_master_key_id=key_arn,
        region=region,
        tags=target.tags("alerts", f"{name}-topic"),
        opts=opts,
    )
    policy = aws.sns.TopicPolicy(
        f"{name}-topic-policy",
        arn=topic.arn,
        policy=topic.arn.apply(lambda arn: json.dumps(topic_policy(arn, target.account_id))),
        region=region,
        opts=opts,
    )
    aws.sns.TopicSubscription(
        f"{name}-mail",
        topic=topic.arn,
        protocol="email",
        endpoint=args.email,
        region=region,
        opts=opts,
    )
    # Whoever is to publish is refused before the policy is there.
    return pulumi.Output.all(topic.arn, policy.id).apply(lambda both: str(both[0]))


def topic_policy(topic_arn: str, account: str) -> dict[str, Any]:
    """Alarms, budgets and the watch on anomalies of this account may publish, over TLS alone."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "AlertsOfThisAccount",
                "Effect": "Allow",
                "Principal": {"Service": list(PUBLISHERS)},
                "Action": "sns:Publish",
                "Resource": topic_arn,
                "Condition": {"StringEquals": {"aws:SourceAccount": account}},
            },
            {
                "Sid": "NothingInPlain",
                "Effect": "Deny",
                "Principal": {"AWS": "*"},
                "Action": "sns:Publish",
                "Resource": topic_arn,
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
        ],
    }


def _budget(
    name: str,
    args: AlertsArgs,
    target: AwsAccount,
    topic_arn: pulumi.Output[str],
    opts: pulumi.ResourceOptions,
) -> None:
    aws.budgets.Budget(
        f"{name}-budget",
        budget_type="COST",
        time_unit="MONTHLY",
        limit_amount=str(args.budget),
        limit_unit="USD",
        cost_filters=[
            aws.budgets.BudgetCostFilterArgs(
                name="TagKeyValue", values=[f"user:stack${target.stack}"]
            )
        ],
        notifications=[
            aws.budgets.BudgetNotificationArgs(
                notification_type=kind,
                comparison_operator="GREATER_THAN",
                threshold=percent,
                threshold_type="PERCENTAGE",
                subscriber_sns_topic_arns=[topic_arn],
            )
            for kind, percent in (("ACTUAL", 80), ("FORECASTED", 100))
        ],
        tags=target.tags("alerts", f"{name}-budget"),
        opts=opts,
    )


def _anomalies(
    name: str,
    args: AlertsArgs,
    target: AwsAccount,
    topic_arn: pulumi.Output[str],
    opts: pulumi.ResourceOptions,
) -> None:
    # By tag: an account may have one monitor of its services only, and often has it already.
    monitor = aws.costexplorer.AnomalyMonitor(
        f"{name}-anomalies",
        name=f"etcetera-{target.stack}",
        monitor_type="CUSTOM",
        monitor_specification=json.dumps(
            {
                "And": None,
                "CostCategories": None,
                "Dimensions": None,
                "Not": None,
                "Or": None,
                "Tags": {"Key": "stack", "MatchOptions": None, "Values": [target.stack]},
            }
        ),
        tags=target.tags("alerts", f"{name}-anomalies"),
        opts=opts,
    )
    aws.costexplorer.AnomalySubscription(
        f"{name}-anomalies-mail",
        name=f"etcetera-{target.stack}",
        frequency="IMMEDIATE",
        monitor_arn_lists=[monitor.arn],
        subscribers=[
            aws.costexplorer.AnomalySubscriptionSubscriberArgs(type="SNS", address=topic_arn)
        ],
        threshold_expression=aws.costexplorer.AnomalySubscriptionThresholdExpressionArgs(
            dimension=aws.costexplorer.AnomalySubscriptionThresholdExpressionDimensionArgs(
                key="ANOMALY_TOTAL_IMPACT_ABSOLUTE",
                match_options=["GREATER_THAN_OR_EQUAL"],
                values=[f"{_ANOMALY_SHARE * args.budget:g}"],
            )
        ),
        tags=target.tags("alerts", f"{name}-anomalies-mail"),
        opts=opts,
    )
