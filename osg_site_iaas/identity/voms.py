"""VOMS attribute certificates: what a VO's server says of the bearer of a proxy.

This verifier is the portable one; ``libvoms`` asks VOMS's own library, and the tests hold the two together.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Optional, Sequence
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from osg_site_iaas.identity import chain as chains
from osg_site_iaas.identity import der, names, proxy, signatures
from osg_site_iaas.identity.ac import AttributeCertificate, parse
from osg_site_iaas.identity.crl import validity
from osg_site_iaas.identity.refused import UNREADABLE, Refused
from osg_site_iaas.identity.trust import Trust
from osg_site_iaas.identity.vomsdir import VomsDirectory

EXTENSION = "1.3.6.1.4.1.8005.100.100.5"
SKEW = dt.timedelta(seconds=300)  # how far a VOMS server's clock may be ahead of ours
_LARGEST = 128 << 10  # bytes of the extension
_RENEW = "make a new proxy (voms-proxy-init)"
_FQAN = re.compile(r"(/(?!\.{1,2}(/|\Z))[\w.-]+)+(/Role=[\w.-]+)?(/Capability=[\w.-]+)?\Z", re.ASCII)


@dataclass(frozen=True)
class Membership:
    """What one attribute certificate proves. Times are aware UTC."""

    vo: str
    fqans: tuple[str, ...]  # in the VO server's order; the first is the primary one
    server: str  # DN of the VOMS server
    host: str  # its host name
    not_before: dt.datetime
    not_after: dt.datetime


def verify(
    chain: chains.Chain,
    trust: Trust,
    vomsdir: VomsDirectory,
    *,
    now: dt.datetime,
    hosts: Sequence[str] = (),
    rules: Optional[chains.Rules] = None,
) -> tuple[Membership, ...]:
    """What the proxies of a verified chain say of VO membership, in their order; empty if they say nothing.

    The extension nearest the leaf counts. If one of its certificates fails, all fail: Refused. ``hosts`` are
    the names of this service, for certificates that are meant for certain hosts only.
    """
    subject = chain.subject
    try:
        found = extension(chain)
        if found is None:
            return ()
        return tuple(
            _check(certificate, chain, trust, vomsdir, now, hosts, rules or chains.Rules())
            for certificate in parse_extension(found)
        )
    except Refused as error:
        error.subject = subject
        raise
    except UNREADABLE as error:
        raise Refused(
            "the proxy's VOMS attributes cannot be read", todo=_RENEW, subject=subject, detail=str(error)
        ) from error


def extension(chain: chains.Chain) -> Optional[bytes]:
    """The value of the AC extension nearest the leaf, or None."""
    for certificate in chain.proxies:
        found = proxy.extension(certificate, EXTENSION)
        if found is not None:
            assert isinstance(found.value, x509.UnrecognizedExtension)  # noqa: S101  # not one that it knows
            return found.value.value
    return None


def parse_extension(value: bytes) -> tuple[AttributeCertificate, ...]:
    """The attribute certificates in the extension: a sequence of sequences of them."""
    if len(value) > _LARGEST:
        raise der.DerError("too large")
    found = [
        parse(element)
        for inner in der.read(value).children(der.SEQUENCE)
        for element in inner.children(der.SEQUENCE)
    ]
    if not 1 <= len(found) <= 16:
        raise der.DerError(f"{len(found)} attribute certificates")
    return tuple(found)


def _check(
    ac: AttributeCertificate,
    chain: chains.Chain,
    trust: Trust,
    vomsdir: VomsDirectory,
    now: dt.datetime,
    hosts: Sequence[str],
    rules: chains.Rules,
) -> Membership:
    vo, host = _authority(ac)
    _is_holder(ac, chain.eec)
    if now < ac.not_before - SKEW:
        raise Refused("the proxy's VOMS attributes are not valid yet", todo="check the clock")
    if now > ac.not_after:
        raise Refused(
            f"the proxy's VOMS attributes expired at {ac.not_after:%Y-%m-%d %H:%M:%S} UTC", todo=_RENEW
        )
    if ac.targets is not None and not set(ac.targets) & set(hosts):
        raise Refused("the proxy's VOMS attributes are meant for another host", todo=_RENEW)
    for fqan in ac.fqans:
        if not _FQAN.match(fqan):
            raise Refused("the proxy holds an FQAN that is none", todo=_RENEW, detail=fqan)
        if fqan != f"/{vo}" and not fqan.startswith(f"/{vo}/"):
            raise Refused(f"an FQAN of the proxy lies outside its VO {vo}", todo=_RENEW, detail=fqan)
    server = _signer(ac, vo, host, trust, vomsdir, now, rules)
    return Membership(vo, ac.fqans, server, host, ac.not_before, ac.not_after)


def _authority(ac: AttributeCertificate) -> tuple[str, str]:
    """The VO and its server's host, from ``vo://host:port``."""
    vo, separator, rest = ac.authority.partition("://")
    host = urlsplit(f"//{rest}").hostname if separator else None
    if not host or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", vo):
        raise der.DerError("the authority is not vo://host:port")
    return vo, host


def _is_holder(ac: AttributeCertificate, eec: x509.Certificate) -> None:
    if ac.holder_serial != eec.serial_number or not names.same(ac.holder_issuer, eec.issuer.public_bytes()):
        raise Refused("the proxy's VOMS attributes belong to another certificate", todo=_RENEW)


def _signer(
    ac: AttributeCertificate,
    vo: str,
    host: str,
    trust: Trust,
    vomsdir: VomsDirectory,
    now: dt.datetime,
    rules: chains.Rules,
) -> str:
    """The DN of the VOMS server that signed, if the site lets that server speak for the VO."""
    certificates = [x509.load_der_x509_certificate(c) for c in ac.certificates]
    signer = certificates[0]
    server = names.slash(signer.subject)
    try:
        algorithm = signatures.ALGORITHMS[ac.algorithm]()
        signatures.verify(signer.public_key(), ac.signature, ac.signed, algorithm, ac.algorithm)
    except KeyError as error:
        raise Refused(f"the VOMS attributes are signed with {ac.algorithm}", todo="ask the VO") from error
    except (InvalidSignature, UnsupportedAlgorithm) as error:
        raise Refused(
            "the signature of the proxy's VOMS attributes is wrong", todo=_RENEW, detail=server
        ) from error
    if not names.same(ac.issuer, signer.subject.public_bytes()):
        raise Refused("the VOMS attributes name another issuer than their signer", todo=_RENEW, detail=server)
    if not names.unambiguous(signer.subject) or proxy.info(signer) is not None or proxy.is_ca(signer):
        raise Refused("the VOMS attributes are not signed by a server's certificate", detail=server)
    if not proxy.may_sign_data(signer):
        raise Refused("the VOMS server's certificate may not sign", detail=server)
    start, end = validity(signer)
    if not start <= now <= end:
        raise Refused("the VOMS server's certificate has expired", todo="ask the VO", detail=server)
    above = chains.authorities(signer, certificates[1:], trust, now=now, rules=rules)
    path = [server, *(names.slash(ca.subject) for ca in above)]
    if not vomsdir.speaks_for(vo, host, path):
        raise Refused(
            f"no server of that name may speak for the VO {vo} here",
            todo=f"the site must install vomsdir/{vo}/{host}.lsc",
            detail=" <- ".join(path),
        )
    return server
