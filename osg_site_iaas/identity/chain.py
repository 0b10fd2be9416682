"""Whether a certificate or proxy comes, link by link, from a CA that the site trusts.

TLS proves that the peer holds the first certificate's key; this proves whose it is. It repeats what OpenSSL
does and adds what it does not: signing policies, limited proxies, revocation lists where there are any.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Optional, Sequence

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from osg_site_iaas.identity import names, proxy
from osg_site_iaas.identity.crl import Crl, validity
from osg_site_iaas.identity.refused import UNREADABLE, Refused
from osg_site_iaas.identity.signatures import signed_by
from osg_site_iaas.identity.trust import Anchor, Trust

LONGEST = 20  # certificates; a real chain has at most six or seven
_RENEW = "make a new proxy (voms-proxy-init)"
_ANY_PURPOSE = "2.5.29.37.0"
# Critical extensions whose meaning is checked here or does not narrow who somebody is. Not name constraints:
# a CA that has them is refused rather than believed too widely.
_UNDERSTOOD = {"2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.31", "2.5.29.32", "2.5.29.37"}


@dataclass(frozen=True)
class Rules:
    """What a site asks of a chain, beyond what X.509 does."""

    allow_limited: bool = False
    require_crl: bool = False  # also where a CA publishes no list
    require_policy: bool = True  # each CA needs a signing policy or namespaces file


@dataclass(frozen=True)
class Chain:
    """A verified chain. Times are aware UTC."""

    subject: str  # the person's or service's DN, without the proxies' CNs
    issuer: str  # the CA's DN
    proxies: tuple[x509.Certificate, ...]  # leaf first; empty for a certificate used as it is
    eec: x509.Certificate  # the person's or service's own certificate
    authorities: tuple[x509.Certificate, ...]  # from the issuing CA up to the root
    limited: bool
    not_after: dt.datetime  # the earliest end in the chain


def verify(
    certificates: Sequence[x509.Certificate], trust: Trust, *, now: dt.datetime, rules: Optional[Rules] = None
) -> Chain:
    """The chain whose leaf is ``certificates[0]``; Refused if any link of it does not hold.

    The peer's further certificates are used in any order, as material only: none of them is trusted.
    """
    rules = rules or Rules()
    if not certificates:
        raise Refused("no certificate was presented", todo="use a proxy or a certificate")
    if len(certificates) > LONGEST:
        raise Refused(f"more than {LONGEST} certificates were presented", todo=_RENEW)
    try:
        return _verify(certificates, trust, now, rules)
    except UNREADABLE as error:
        what = str(error) if isinstance(error, proxy.ProxyError) else "a certificate cannot be read"
        raise Refused(what, todo=_RENEW, subject=_subject(certificates[0]), detail=str(error)) from error


def _verify(certificates: Sequence[x509.Certificate], trust: Trust, now: dt.datetime, rules: Rules) -> Chain:
    proxies, eec, limited = _walk_proxies(certificates)
    subject = names.slash(eec.subject)
    if not names.unambiguous(eec.subject):
        raise Refused("the certificate's name can be read in two ways", todo="ask its CA", subject=subject)
    if proxy.is_ca(eec):
        raise Refused("a CA's own certificate is not a credential", subject=subject)
    if limited and not rules.allow_limited:
        raise Refused("a limited proxy cannot log in", todo="use a full proxy", subject=subject)
    if not _for_clients(eec):
        raise Refused("the certificate is not meant for clients", todo="ask its CA", subject=subject)
    anchors = authorities(eec, certificates, trust, now=now, rules=rules)
    everything = (*proxies, eec, *anchors)
    for certificate in (*proxies, eec):
        _in_time(certificate, now, subject)
    _understood(eec, subject)
    return Chain(
        subject=subject,
        issuer=names.slash(eec.issuer),
        proxies=proxies,
        eec=eec,
        authorities=anchors,
        limited=limited,
        not_after=min(validity(c)[1] for c in everything),
    )


def _walk_proxies(
    certificates: Sequence[x509.Certificate],
) -> tuple[tuple[x509.Certificate, ...], x509.Certificate, bool]:
    """The proxies from the leaf down, the certificate they come from, and whether any of them is limited."""
    found: list[x509.Certificate] = []
    current, limited = certificates[0], False
    while True:
        said = proxy.info(current)
        if said is None:
            return tuple(found), current, limited
        if said.kind is proxy.Kind.INDEPENDENT:
            raise proxy.ProxyError("an independent proxy carries no identity")
        if said.path_length is not None and len(found) > said.path_length:
            raise proxy.ProxyError(f"more proxies follow than the path length {said.path_length} allows")
        limited = limited or said.kind is proxy.Kind.LIMITED
        found.append(current)
        if len(found) > LONGEST:
            raise proxy.ProxyError("the proxies go round in a circle")
        current = _issuer_of_proxy(current, certificates)


def _issuer_of_proxy(child: x509.Certificate, certificates: Sequence[x509.Certificate]) -> x509.Certificate:
    named = [
        c for c in certificates if c.subject.public_bytes() == child.issuer.public_bytes() and c != child
    ]
    if not named:
        raise proxy.ProxyError("the certificate that the proxy comes from is missing")
    for candidate in named:
        if signed_by(child, candidate):
            proxy.check(child, candidate)
            return candidate
    raise proxy.ProxyError("the proxy is not signed by the certificate before it")


def authorities(
    certificate: x509.Certificate,
    sent: Sequence[x509.Certificate],
    trust: Trust,
    *,
    now: dt.datetime,
    rules: Rules,
) -> tuple[x509.Certificate, ...]:
    """The CAs from the certificate's issuer to a self-signed one of the trust directory; else Refused.

    Each may sign what is below it: CA flag, path length, validity, signing policy, revocation list.
    """
    path: list[x509.Certificate] = []
    child, subject = certificate, names.slash(certificate.subject)
    while True:
        anchor, issuer = _find_issuer(child, sent, trust, subject)
        _understood(issuer, subject)
        _may_issue(issuer, len(path), subject)
        _in_time(issuer, now, subject, of="the CA's certificate")
        _within_policy(child, issuer, anchor, rules, subject)
        _not_revoked(child, issuer, anchor, trust, now, rules, subject)
        path.append(issuer)
        if anchor is not None and issuer.subject == issuer.issuer:
            return tuple(path)
        if len(path) > LONGEST:
            raise Refused("the chain of CAs does not end", subject=subject)
        child = issuer


def _find_issuer(
    child: x509.Certificate, sent: Sequence[x509.Certificate], trust: Trust, subject: str
) -> tuple[Optional[Anchor], x509.Certificate]:
    named = trust.issuers_of(child)
    for anchor in named:
        if signed_by(child, anchor.certificate):
            return anchor, anchor.certificate
    for candidate in sent:
        if candidate.subject == child.issuer and candidate != child and signed_by(child, candidate):
            return None, candidate
    raise Refused(
        "the certificate was not signed by the CA it names"
        if named
        else "the certificate's CA is not trusted here",
        todo="use a certificate of a CA that the site accepts",
        subject=subject,
        detail=f"issuer={names.slash(child.issuer)}",
    )


def _may_issue(ca: x509.Certificate, below: int, subject: str) -> None:
    basic = proxy.extension(ca, "2.5.29.19")
    usage = proxy.extension(ca, "2.5.29.15")
    value = basic.value if basic is not None else None
    if not isinstance(value, x509.BasicConstraints) or not value.ca:
        raise Refused(
            "a certificate that is no CA signed another", subject=subject, detail=names.slash(ca.subject)
        )
    if usage is not None and isinstance(usage.value, x509.KeyUsage) and not usage.value.key_cert_sign:
        raise Refused(
            "a CA's key usage does not allow it to sign", subject=subject, detail=names.slash(ca.subject)
        )
    if value.path_length is not None and below > value.path_length:
        raise Refused(
            "the chain is deeper than its CA allows", subject=subject, detail=names.slash(ca.subject)
        )


def _understood(certificate: x509.Certificate, subject: str) -> None:
    for found in certificate.extensions:
        if found.critical and found.oid.dotted_string not in _UNDERSTOOD:
            raise Refused(
                f"unknown critical extension {found.oid.dotted_string} in a certificate",
                subject=subject,
                detail=names.slash(certificate.subject),
            )


def _in_time(certificate: x509.Certificate, now: dt.datetime, subject: str, of: str = "") -> None:
    start, end = validity(certificate)
    name = of or ("the proxy" if proxy.info(certificate) else "the certificate")
    if now < start:
        raise Refused(
            f"{name} is not valid before {start:%Y-%m-%d %H:%M:%S} UTC",
            todo="check the clock",
            subject=subject,
        )
    if now > end:
        raise Refused(f"{name} expired at {end:%Y-%m-%d %H:%M:%S} UTC", todo=_RENEW, subject=subject)


def _within_policy(
    child: x509.Certificate, issuer: x509.Certificate, anchor: Optional[Anchor], rules: Rules, subject: str
) -> None:
    if anchor is None or not anchor.policies:
        if rules.require_policy:
            raise Refused(
                "the CA has no signing policy here",
                todo="the site must install its .signing_policy",
                subject=subject,
                detail=names.slash(issuer.subject),
            )
        return
    ca, name = names.slash(issuer.subject), names.slash(child.subject)
    for policy in anchor.policies:
        if not policy.allows(ca, name):
            raise Refused("the name is outside its CA's signing policy", subject=subject, detail=policy.file)


def _not_revoked(
    child: x509.Certificate,
    issuer: x509.Certificate,
    anchor: Optional[Anchor],
    trust: Trust,
    now: dt.datetime,
    rules: Rules,
    subject: str,
) -> None:
    lists: Sequence[Crl] = trust.crls.get(issuer.subject.public_bytes(), ())
    stale = "the CA's revocation list here is out of date"
    if anchor is not None and anchor.crl_unreadable and not lists:
        raise Refused(
            "the CA's revocation list here cannot be read",
            todo="the site must run fetch-crl",
            subject=subject,
        )
    if not lists and rules.require_crl:
        raise Refused(
            "the CA has no revocation list here", todo="the site must run fetch-crl", subject=subject
        )
    if any(child.serial_number in found.serials for found in lists):
        raise Refused("the certificate has been revoked", todo="ask its CA for a new one", subject=subject)
    if lists and not any(c.issued <= now and (c.until is None or now <= c.until) for c in lists):
        raise Refused(stale, todo="the site must run fetch-crl", subject=subject)


def _for_clients(certificate: x509.Certificate) -> bool:
    found = proxy.extension(certificate, "2.5.29.37")
    if found is None or not isinstance(found.value, x509.ExtendedKeyUsage):
        return True
    allowed = {o.dotted_string for o in found.value}
    return bool(allowed & {ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string, _ANY_PURPOSE})


def _subject(certificate: x509.Certificate) -> str:
    try:
        return names.slash(certificate.subject)
    except UNREADABLE:
        return "-"
