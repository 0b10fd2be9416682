"""What a site.yml says, as values. Absent is UNSET or an empty collection, never a guessed OpenStack default.
Where many read a value as plain truth it has its default instead, and ``stated`` holds the names that are written.

Sizes are integers in the unit that the field's name or comment states; names are the site's own, never
OpenStack ids.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Mapping, Optional, Union


class Unset(enum.Enum):
    """The one value that means "site.yml does not say"; absent is not zero and not None."""

    UNSET = "unset"

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "UNSET"


UNSET = Unset.UNSET
Scalar = Union[str, int, bool]
NOTHING: Mapping[str, Scalar] = MappingProxyType({})
NO_QUOTA: Mapping[str, int] = MappingProxyType({})
NO_PROPERTIES: Mapping[str, str] = MappingProxyType({})


def _stated() -> frozenset[str]:
    """The names that an entry of site.yml holds: what it does not state is given at a creation, and then left alone."""
    return field(default=frozenset(), compare=False, repr=False)


# Functions, because before Python 3.12 a dataclass takes an unhashable proxy for a mutable default.
def _nothing() -> Mapping[str, Scalar]:
    return NOTHING


def _no_quota() -> Mapping[str, int]:
    return NO_QUOTA


def _no_properties() -> Mapping[str, str]:
    return NO_PROPERTIES


@dataclass(frozen=True)
class Secret:
    """Where a secret is to be read (``file:/path``, ``env:NAME``) or ``generated``; never the secret."""

    source: str


@dataclass(frozen=True)
class Position:
    """A place in site.yml; both count from 1."""

    line: int = 0
    column: int = 0


@dataclass(frozen=True)
class Identity:
    """Who the site is, in OSG's words."""

    resource: str  # OSG Topology Resource name: the SiteName of its accounting
    fqdn: str  # the Resource's FQDN: part of the probe's name
    region: str = "RegionOne"  # OpenStack region
    group: Optional[str] = None  # OSG Topology ResourceGroup
    facility: Optional[str] = None


@dataclass(frozen=True)
class Cloud:
    """How OpenStack is reached, and where what apply creates is kept."""

    name: str  # entry in clouds.yaml, for an administrator
    domain: str = "osg"  # Keystone domain of the VOs' projects, groups and users
    secrets: Path = Path("secrets")  # folder for keys that apply creates; absolute after loading
    endpoint_type: str = "public"  # which of Keystone's interfaces to use
    admin_projects: tuple[str, ...] = ()  # ids of further ones: what is marked there is ours too


@dataclass(frozen=True)
class Quota:
    """Limits by service, under the service's own names; -1 is unlimited; a name left out is not managed."""

    compute: Mapping[str, int] = field(default_factory=_no_quota)  # instances, cores, ram (MiB), ...
    network: Mapping[str, int] = field(default_factory=_no_quota)  # network, port, floatingip, ...
    volume: Mapping[str, int] = field(default_factory=_no_quota)  # volumes, gigabytes (GiB), ...
    object: Mapping[str, int] = field(default_factory=_no_quota)  # bytes

    def over(self, below: Quota) -> Quota:
        """This quota, with what it leaves out taken from ``below``."""
        return Quota(
            compute={**below.compute, **self.compute},
            network={**below.network, **self.network},
            volume={**below.volume, **self.volume},
            object={**below.object, **self.object},
        )


@dataclass(frozen=True)
class Flavour:
    """A size of server. ``vos`` are the VOs that may use a private one; UNSET: none is named."""

    name: str
    vcpus: int
    ram: int  # MiB
    disk: int = 0  # GiB
    ephemeral: int = 0  # GiB
    swap: int = 0  # MiB
    properties: Mapping[str, str] = field(default_factory=_no_properties)  # extra specs
    vos: Union[tuple[str, ...], Unset] = UNSET
    public: bool = True  # without vos
    at: Position = Position()
    stated: frozenset[str] = _stated()


@dataclass(frozen=True)
class Subnet:
    name: str
    cidr: str
    gateway: Union[str, Unset, None] = UNSET  # None: no gateway
    dhcp: bool = True
    dns: tuple[str, ...] = ()
    pool: Optional[tuple[str, str]] = None  # first and last address handed out
    stated: frozenset[str] = _stated()


@dataclass(frozen=True)
class Network:
    """A network. With ``vo`` it belongs to that VO's project, else to the administrator's."""

    name: str
    vo: Optional[str] = None
    shared: bool = False
    external: bool = False
    provider: Mapping[str, Scalar] = field(default_factory=_nothing)  # network_type, ...
    mtu: Union[int, Unset] = UNSET
    subnets: tuple[Subnet, ...] = ()
    at: Position = Position()
    stated: frozenset[str] = _stated()


@dataclass(frozen=True)
class Router:
    name: str
    vo: Optional[str] = None
    external: Optional[str] = None  # name of an external network
    subnets: tuple[str, ...] = ()  # names of subnets
    at: Position = Position()


@dataclass(frozen=True)
class Rule:
    """One rule of a security group; ``ports`` is inclusive, None means every port or ICMP type."""

    direction: str = "ingress"
    protocol: Optional[str] = None
    ports: Optional[tuple[int, int]] = None
    remote: Optional[str] = None  # CIDR; None: anywhere
    remote_group: Optional[str] = None  # name of a security group of the same VO
    ethertype: str = "IPv4"


@dataclass(frozen=True)
class SecurityGroup:
    """A firewall of a VO's project; ``rules`` are all the rules it has."""

    name: str
    vo: str
    rules: tuple[Rule, ...] = ()
    description: str = ""
    at: Position = Position()


@dataclass(frozen=True)
class Image:
    """A Glance image. ``source`` is ``file:/path`` or an http(s) URL, read at the first upload only."""

    name: str
    source: Optional[str] = None
    checksum: Optional[str] = None  # algorithm:hex, checked while the source is read
    disk_format: str = "qcow2"
    container_format: str = "bare"
    visibility: str = "private"  # private, shared, community, public
    min_disk: int = 0  # GiB
    min_ram: int = 0  # MiB
    protected: bool = False
    properties: Mapping[str, str] = field(default_factory=_no_properties)
    vos: tuple[str, ...] = ()  # VOs it is shared with
    at: Position = Position()
    stated: frozenset[str] = _stated()


@dataclass(frozen=True)
class IdentityProvider:
    """Who vouches for a VO's members: a grid CA set (``x509``) or a token issuer (``token``)."""

    name: str
    type: str  # x509 or token
    remote_ids: tuple[str, ...] = ()  # issuer URLs, or the name that the grid's front sets
    audiences: tuple[str, ...] = ()  # token: accepted values of aud
    authorization_ttl: int = 5760  # minutes a membership proven at login lasts (4 days); 0: Keystone's own
    at: Position = Position()


@dataclass(frozen=True)
class Access:
    """One line that lets somebody in: exactly one of ``fqan``, ``dn`` and ``issuer`` is given.

    With ``issuer``, any of ``subject``, ``group`` (wlcg.groups) and ``scope`` narrows it.
    """

    fqan: Optional[str] = None  # may hold *; as in voms-mapfile
    dn: Optional[str] = None  # /DC=org/... slash form
    issuer: Optional[str] = None
    subject: Optional[str] = None
    group: Optional[str] = None
    scope: Optional[str] = None
    role: str = "member"  # Keystone role
    ec2_keys: bool = True  # whether EC2 keys may be issued
    at: Position = Position()


@dataclass(frozen=True)
class ServiceUser:
    """A Keystone user of the VO's own. Without ``password`` it has none, and enters with its EC2 key."""

    name: str  # unique in the domain; as written below the VO, prefixed by the VO: ``cms-pilot``
    role: str = "member"
    ec2_key: bool = False
    password: Optional[Secret] = None
    at: Position = Position()


@dataclass(frozen=True)
class Bucket:
    """An S3 bucket (a Swift container) in the VO's account."""

    name: str
    quota_bytes: Union[int, Unset] = UNSET
    public_read: bool = False
    at: Position = Position()
    stated: frozenset[str] = _stated()


@dataclass(frozen=True)
class VO:
    """A virtual organisation: one project, and who may use it."""

    name: str
    project: str  # Keystone project; the VO's name unless said otherwise
    description: str = ""
    parent: Optional[str] = None  # OSG's parent VO, for accounting; not a Keystone parent
    enabled: bool = True
    access: tuple[Access, ...] = ()
    quota: Quota = Quota()
    service_users: tuple[ServiceUser, ...] = ()
    buckets: tuple[Bucket, ...] = ()
    reporting_name: Optional[str] = None  # VO name in accounting records, where it is not ``name``
    at: Position = Position()
    stated: frozenset[str] = _stated()


@dataclass(frozen=True)
class Accounting:
    """Where usage records go. ``probe_name`` is ``openstack:<fqdn>`` unless said otherwise."""

    enabled: bool = True
    collector: str = "gratia-osg-prod.opensciencegrid.org:80"
    ssl: bool = False
    grid: str = "OSG"
    site_name: Optional[str] = None
    probe_name: Optional[str] = None
    settle_minutes: int = 30
    options: Mapping[str, Scalar] = field(default_factory=_nothing)  # further ProbeConfig attributes


@dataclass(frozen=True)
class Cache:
    """A cache host: declared here, configured by the roles."""

    name: str
    type: str  # squid, xcache, cvmfs
    host: str
    port: Union[int, Unset] = UNSET
    vos: tuple[str, ...] = ()
    options: Mapping[str, Scalar] = field(default_factory=_nothing)
    at: Position = Position()


@dataclass(frozen=True)
class Defaults:
    """What a VO gets unless its own entry says otherwise."""

    role: str = "member"
    quota: Quota = Quota()
    ec2_keys: bool = True


@dataclass(frozen=True)
class Site:
    """A whole declaration, checked: every name it refers to exists in it."""

    file: Path
    version: int
    site: Identity
    cloud: Cloud
    defaults: Defaults = Defaults()
    flavours: tuple[Flavour, ...] = ()
    networks: tuple[Network, ...] = ()
    routers: tuple[Router, ...] = ()
    security_groups: tuple[SecurityGroup, ...] = ()
    images: tuple[Image, ...] = ()
    identity_providers: tuple[IdentityProvider, ...] = ()
    vos: tuple[VO, ...] = ()
    accounting: Accounting = Accounting()
    caches: tuple[Cache, ...] = ()
    positions: Mapping[str, Position] = field(default_factory=dict, compare=False, repr=False)

    def vo(self, name: str) -> VO:
        """The VO of that name; KeyError if there is none."""
        for vo in self.vos:
            if vo.name == name:
                return vo
        raise KeyError(name)

    def where(self, path: str) -> str:
        """``site.yml:12:3`` for a dotted path, or for the nearest thing around it that the file holds."""
        while path:
            position = self.positions.get(path)
            if position is not None:
                return f"{self.file}:{position.line}:{position.column}"
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return str(self.file)
