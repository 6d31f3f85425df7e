"""Decides who may use a stack's key and topics, and what an operator's kubeconfig holds."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.alerts.aws import topic_policy
from components.cluster.certificates import eks_kubeconfig, kubeconfig
from components.encryption.aws import key_policy

accounts = st.from_regex("[0-9]{12}", fullmatch=True)
regions = st.sampled_from(["us-east-1", "eu-west-1", "ap-southeast-2"])


def allowed(policy: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in policy["Statement"] if one["Effect"] == "Allow"]


@given(accounts, regions)
def test_a_key_is_for_its_account_alone(account: str, region: str) -> None:
    for statement in allowed(key_policy(account, region)):
        principal = json.dumps(statement["Principal"])
        if account not in principal:
            assert account in json.dumps(statement.get("Condition", {})), statement["Sid"]


@given(accounts, regions)
def test_only_the_account_itself_administers_its_key(account: str, region: str) -> None:
    administering = [
        one for one in allowed(key_policy(account, region)) if one["Action"] == "kms:*"
    ]
    assert [one["Principal"] for one in administering] == [{"AWS": f"arn:aws:iam::{account}:root"}]


@given(accounts)
def test_a_topic_hears_services_for_its_account_and_nobody_in_plain(account: str) -> None:
    policy = topic_policy(f"arn:aws:sns:us-east-1:{account}:topic", account)
    for statement in allowed(policy):
        assert statement["Action"] == "sns:Publish"
        assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": account}}
    (denied,) = [one for one in policy["Statement"] if one["Effect"] == "Deny"]
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


@pytest.mark.parametrize("certificate", ["A\n", "-----BEGIN CERTIFICATE-----\nMIIB\n"])
def test_a_kubeconfig_proves_the_server_and_the_operator(certificate: str) -> None:
    config = json.loads(kubeconfig("https://192.0.2.7:6443", "authority", certificate, "key"))
    (cluster,), (user,) = config["clusters"], config["users"]
    assert cluster["cluster"]["server"] == "https://192.0.2.7:6443"
    assert base64.b64decode(cluster["cluster"]["certificate-authority-data"]) == b"authority"
    assert base64.b64decode(user["user"]["client-certificate-data"]).decode() == certificate
    assert base64.b64decode(user["user"]["client-key-data"]) == b"key"
    (context,) = config["contexts"]
    assert context["name"] == config["current-context"]
    assert context["context"] == {"cluster": cluster["name"], "user": user["name"]}


def test_a_kubeconfig_of_eks_holds_no_secret() -> None:
    authority = base64.b64encode(b"authority").decode()
    config = json.loads(eks_kubeconfig("https://eks.example", authority, "mine", "eu-west-1"))
    (user,) = config["users"]
    assert user["user"].keys() == {"exec"}
    assert user["user"]["exec"]["args"][-1] == "mine"
    assert config["clusters"][0]["cluster"]["certificate-authority-data"] == authority
