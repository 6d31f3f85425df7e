"""A public Route 53 zone, or the one that is given.

Certificates of CloudFront and of the origin are proved by names in it, so the first deployment
waits until the domain's registrar names `name_servers`.
"""

import pulumi
import pulumi_aws as aws

from components.dns.ports import DnsArgs, DnsOutputs
from components.target import AwsAccount

# Amazon signs what people see, Let's Encrypt the origin on k3s; nobody else signs anything.
AUTHORITIES = ("amazon.com", "letsencrypt.org")


def build(name: str, args: DnsArgs, target: AwsAccount, opts: pulumi.ResourceOptions) -> DnsOutputs:
    if args.hosted_zone_id is not None:
        # Records of a zone with other users are theirs, so it gets none that speak for all of it.
        return DnsOutputs(
            zone_id=pulumi.Output.from_input(args.hosted_zone_id),
            name_servers=pulumi.Output.from_input(list[str]()),
        )
    zone = aws.route53.Zone(
        f"{name}-zone",
        name=target.domain,
        comment=f"Etcetera.Exchange, stack {target.stack}",
        tags=target.tags("dns", f"{name}-zone"),
        # A new zone has other name servers: the site would be gone until the registrar knows them.
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(protect=target.protect)),
    )
    aws.route53.Record(
        f"{name}-authorities",
        zone_id=zone.zone_id,
        name=target.domain,
        type="CAA",
        ttl=3600,
        records=[f'0 issue "{authority}"' for authority in AUTHORITIES],
        opts=opts,
    )
    return DnsOutputs(zone_id=zone.zone_id, name_servers=zone.name_servers.apply(list))
