"""Every kind of object that a declaration can bring about, one file a kind or a family."""

from __future__ import annotations

from typing import Mapping

from osg_site_iaas.cloud.kind import Kind
from osg_site_iaas.cloud.kinds.bucket import Bucket
from osg_site_iaas.cloud.kinds.domain import Domain
from osg_site_iaas.cloud.kinds.ec2_credential import Ec2Credential
from osg_site_iaas.cloud.kinds.federation import IdentityProvider, Protocol
from osg_site_iaas.cloud.kinds.federation import Mapping as FederationMapping
from osg_site_iaas.cloud.kinds.flavour import Flavour, FlavourAccess
from osg_site_iaas.cloud.kinds.group import Group
from osg_site_iaas.cloud.kinds.group_member import GroupMember
from osg_site_iaas.cloud.kinds.image import Image, ImageMember
from osg_site_iaas.cloud.kinds.network import Network, Subnet
from osg_site_iaas.cloud.kinds.project import Project
from osg_site_iaas.cloud.kinds.quota import ComputeQuota, NetworkQuota, ObjectQuota, VolumeQuota
from osg_site_iaas.cloud.kinds.role_assignment import RoleAssignment
from osg_site_iaas.cloud.kinds.router import Router
from osg_site_iaas.cloud.kinds.security_group import SecurityGroup, SecurityGroupRules
from osg_site_iaas.cloud.kinds.user import User
from osg_site_iaas.plan.model import KindRule

KINDS: tuple[Kind, ...] = (
    Domain(),
    Project(),
    Group(),
    User(),
    GroupMember(),
    RoleAssignment(),
    Ec2Credential(),
    IdentityProvider(),
    FederationMapping(),
    Protocol(),
    ComputeQuota(),
    NetworkQuota(),
    VolumeQuota(),
    ObjectQuota(),
    Flavour(),
    FlavourAccess(),
    Network(),
    Subnet(),
    Router(),
    SecurityGroup(),
    SecurityGroupRules(),
    Image(),
    ImageMember(),
    Bucket(),
)
BY_NAME: Mapping[str, Kind] = {kind.name: kind for kind in KINDS}
RULES: Mapping[str, KindRule] = {kind.name: kind.rule for kind in KINDS}
