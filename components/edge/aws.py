"""An Ingress for the name that the CDN asks for, served by Traefik on the cluster.

Only the CDN is answered there: the app refuses whoever does not know the origin's secret.
"""

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes import meta, networking

from components.cluster.ports import CERTIFICATE_RESOLVER, INGRESS_CLASS
from components.edge.ports import EdgeArgs, EdgeOutputs
from components.kubernetes import NAMESPACE, Place
from components.target import AwsTarget

TRAEFIK = "traefik.ingress.kubernetes.io"
COMPRESS = "compress"
TTL_SECONDS = 60


def build(
    name: str, args: EdgeArgs, target: AwsTarget, opts: pulumi.ResourceOptions
) -> EdgeOutputs:
    if not args.behind_cdn:
        raise ValueError("on AWS the edge is behind a CDN, which ends the TLS of people's browsers")
    host = target.origin
    record = aws.route53.Record(
        f"{name}-origin",
        zone_id=target.dns.zone_id,
        name=host,
        type=target.cluster.address_kind,
        ttl=TTL_SECONDS,
        records=[target.cluster.address],
        opts=opts,
    )
    service = pulumi.Output.from_input(args.upstream).apply(service_of)
    place = Place(
        "edge",
        service.apply(lambda _: NAMESPACE),  # it is there once the service is
        target,
        # The certificate is asked for by name, as soon as there is something to serve.
        pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(depends_on=[record, *target.cluster.addons])
        ),
    )
    compress = kubernetes.apiextensions.CustomResource(
        f"{name}-compress",
        api_version="traefik.io/v1alpha1",
        kind="Middleware",
        metadata=place.metadata(COMPRESS),
        spec={"compress": {"minResponseBodyBytes": 512}},
        opts=place.opts,
    )
    ingress = networking.v1.Ingress(
        f"{name}-ingress",
        metadata=meta.v1.ObjectMetaArgs(
            name="web",
            namespace=place.namespace,
            labels=place.labels("web"),
            annotations=annotations(target),
        ),
        spec=networking.v1.IngressSpecArgs(
            ingress_class_name=INGRESS_CLASS,
            tls=[networking.v1.IngressTLSArgs(hosts=[host])],
            rules=[
                networking.v1.IngressRuleArgs(
                    host=host,
                    http=networking.v1.HTTPIngressRuleValueArgs(
                        paths=[
                            networking.v1.HTTPIngressPathArgs(
                                path="/",
                                path_type="Prefix",
                                backend=networking.v1.IngressBackendArgs(
                                    service=networking.v1.IngressServiceBackendArgs(
                                        name=service.apply(lambda found: found[0]),
                                        port=networking.v1.ServiceBackendPortArgs(
                                            number=service.apply(lambda found: found[1])
                                        ),
                                    )
                                ),
                            )
                        ]
                    ),
                )
            ],
        ),
        opts=pulumi.ResourceOptions.merge(
            place.opts, pulumi.ResourceOptions(depends_on=[compress])
        ),
    )
    served = ingress.id.apply(lambda _: host)
    return EdgeOutputs(url=served.apply(lambda name: f"https://{name}"), address=served)


def annotations(target: AwsTarget) -> dict[str, str]:
    """How Traefik serves it. On k3s it gets itself a certificate; on EKS the load balancer has one,
    and the ingress never hears that it is served, as Traefik does not know of the balancer."""
    if target.size.cluster.distribution == "eks":
        extra = {"pulumi.com/skipAwait": "true"}
    else:
        extra = {f"{TRAEFIK}/router.tls.certresolver": CERTIFICATE_RESOLVER}
    return {
        f"{TRAEFIK}/router.entrypoints": "websecure",
        f"{TRAEFIK}/router.tls": "true",
        f"{TRAEFIK}/router.middlewares": f"{NAMESPACE}-{COMPRESS}@kubernetescrd",
        **extra,
    }


def service_of(upstream: str) -> tuple[str, int]:
    """The name and port of the service at name.namespace.svc:port."""
    host, _, port = upstream.partition(":")
    return host.partition(".")[0], int(port)
