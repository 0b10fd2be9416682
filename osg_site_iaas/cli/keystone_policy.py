"""What Keystone must be told so that `ec2_keys: false` holds, and whether it has been.

`apply` puts people who may not have EC2 keys into groups of their own, and gives the others the role osg-ec2-keys. That
only those make keys is Keystone's to enforce, by its policy.yaml: without these lines everybody can make keys.

  openstack role create osg-ec2-keys
  osg-site-iaas keystone-policy site.yml >> /etc/keystone/policy.yaml    and on every other host with a Keystone
  osg-site-iaas keystone-policy site.yml --try

--try makes a user in the site's domain, tries to make keys as that user in every way there is, and removes both.
Exit code 0: no way leads to a key. 2: some do, and are named. 1: an error.
"""

from __future__ import annotations

import argparse
import json

from osg_site_iaas.cloud.connect import connect
from osg_site_iaas.declaration.load import load
from osg_site_iaas.identity import ec2_policy
from osg_site_iaas.mapping.keystone import ec2_keys_matter


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of ``keystone-policy``."""
    parser.add_argument("site", nargs="?", default="site.yml", help="the declaration (default: ./site.yml)")
    parser.add_argument("--try", dest="attempt", action="store_true", help="see whether it is in force")
    parser.add_argument("--json", action="store_true", help="answer in JSON")


def run(args: argparse.Namespace) -> int:
    """Print the lines, or try them."""
    site = load(args.site)
    cloud = connect(site.cloud.name)
    if not args.attempt:
        domain = ec2_policy.domain_id(cloud, site)
        print(
            json.dumps(ec2_policy.rules(domain), indent=1) if args.json else ec2_policy.text(site, domain),
            end="",
        )
        return 0
    through = ec2_policy.what_gets_through(cloud, site)
    needed = ec2_keys_matter(site)
    if args.json:
        print(json.dumps({"gets_through": through, "needed": needed}, indent=1))
    elif through:
        print("Members can make EC2 keys without the role, by:")
        print("".join(f"  {way}\n" for way in through), end="")
        if not needed:
            print("No line of site.yml says `ec2_keys: false`: that is as it should be.")
    else:
        print("Members make EC2 keys only where they have the role.")
    return 2 if through and needed else 0
