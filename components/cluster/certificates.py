"""Authorities of a k3s cluster and the operator's certificate, made here instead of on the machine.

So the cluster can be reached as soon as it answers, with nothing to be fetched from it, and a
machine that takes its place is the same cluster. They last: what an authority has signed is worth
nothing without it.
"""

import base64
import json
from dataclasses import dataclass

import pulumi
import pulumi_random as random
import pulumi_tls as tls

_DECADE = 10 * 365 * 24
_YEAR = 365 * 24
_RENEWAL = 90 * 24  # hours before its end that an `up` makes a new one


@dataclass(frozen=True)
class Pair:
    """A key, which is secret, and its certificate; PEM."""

    key: pulumi.Output[str]
    certificate: pulumi.Output[str]


@dataclass(frozen=True)
class Authorities:
    """`server` signs what the API shows, `client` whom it believes; `operator` may do everything.
    `server_token` and `agent_token` let machines in."""

    server: Pair
    client: Pair
    operator: Pair
    server_token: pulumi.Output[str]
    agent_token: pulumi.Output[str]


def authorities(name: str, opts: pulumi.ResourceOptions) -> Authorities:
    server = _authority(f"{name}-server-authority", "k3s-server-ca", opts)
    client = _authority(f"{name}-client-authority", "k3s-client-ca", opts)
    return Authorities(
        server=server,
        client=client,
        operator=_operator(f"{name}-operator", client, opts),
        server_token=_token(f"{name}-server-token", opts),
        agent_token=_token(f"{name}-agent-token", opts),
    )


def _authority(name: str, common_name: str, opts: pulumi.ResourceOptions) -> Pair:
    key = tls.PrivateKey(name, algorithm="ECDSA", ecdsa_curve="P256", opts=opts)
    certificate = tls.SelfSignedCert(
        f"{name}-certificate",
        private_key_pem=key.private_key_pem,
        subject=tls.SelfSignedCertSubjectArgs(common_name=common_name),
        is_ca_certificate=True,
        set_subject_key_id=True,
        set_authority_key_id=True,
        allowed_uses=["cert_signing", "digital_signature", "key_encipherment"],
        validity_period_hours=_DECADE,
        opts=opts,
    )
    return Pair(key.private_key_pem, pulumi.Output.format("{0}", certificate.cert_pem))


def _operator(name: str, authority: Pair, opts: pulumi.ResourceOptions) -> Pair:
    key = tls.PrivateKey(name, algorithm="ECDSA", ecdsa_curve="P256", opts=opts)
    request = tls.CertRequest(
        f"{name}-request",
        private_key_pem=key.private_key_pem,
        # The group that Kubernetes itself lets do everything.
        subject=tls.CertRequestSubjectArgs(
            common_name="system:admin", organization="system:masters"
        ),
        opts=opts,
    )
    certificate = tls.LocallySignedCert(
        f"{name}-certificate",
        cert_request_pem=request.cert_request_pem,
        ca_private_key_pem=authority.key,
        ca_cert_pem=authority.certificate,
        allowed_uses=["digital_signature", "key_encipherment", "client_auth"],
        validity_period_hours=_YEAR,
        early_renewal_hours=_RENEWAL,
        opts=opts,
    )
    return Pair(key.private_key_pem, pulumi.Output.format("{0}", certificate.cert_pem))


def _token(name: str, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
    return random.RandomPassword(name, length=48, special=False, opts=opts).result


def kubeconfig(server: str, authority: str, certificate: str, key: str) -> str:
    """A kubeconfig of one cluster and one user, as JSON, which is YAML. The rest is PEM."""
    return _kubeconfig(
        server,
        authority,
        {
            "client-certificate-data": _base64(certificate),
            "client-key-data": _base64(key),
        },
    )


def eks_kubeconfig(server: str, authority_base64: str, cluster: str, region: str) -> str:
    """One whose user is whoever calls, as the AWS CLI signs it; it holds no secret."""
    call = ["eks", "get-token", "--output", "json", "--region", region, "--cluster-name", cluster]
    return _kubeconfig(
        server,
        base64.b64decode(authority_base64).decode(),
        {
            "exec": {
                "apiVersion": "client.authentication.k8s.io/v1",
                "command": "aws",
                "args": call,
                "interactiveMode": "Never",
            }
        },
    )


def _kubeconfig(server: str, authority: str, user: dict[str, object]) -> str:
    cluster = {"server": server, "certificate-authority-data": _base64(authority)}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "etcetera", "cluster": cluster}],
            "users": [{"name": "operator", "user": user}],
            "contexts": [
                {"name": "etcetera", "context": {"cluster": "etcetera", "user": "operator"}}
            ],
            "current-context": "etcetera",
        }
    )


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
