"""Certificates, authorities and revocation lists of the grid."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Iterator, Optional

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from osg_site_iaas.identity import settings as identity
from osg_site_iaas.identity.crl import validity
from osg_site_iaas.identity.issuer_keys import IssuerDown, over_https
from osg_site_iaas.identity.trust import TrustDirectory
from osg_site_iaas.mapping import keystone
from osg_site_iaas.ops import pem
from osg_site_iaas.ops.finding import Finding, NotHere
from osg_site_iaas.ops.subject import Subject

SOON = timedelta(days=14)  # a host certificate is to be renewed by then
CA_SOON = timedelta(days=30)
CRL_SOON = timedelta(hours=6)  # fetch-crl runs four times a day


def certificates(subject: Subject) -> Iterator[Finding]:
    """The host's certificate is good, for some time still, for this key and this name."""
    path, key = subject.places.grid / "hostcert.pem", subject.places.grid / "hostkey.pem"
    if not path.exists():
        raise NotHere(f"there is no {path}")
    certificate, *above = pem.certificates(path)
    yield from dates(
        certificate, "the host's certificate", path, subject.now, SOON, "renew it and restart what serves it"
    )
    for one in above:
        name = f"{one.subject.rfc4514_string()}, which stands above it in the file,"
        yield from dates(one, name, path, subject.now, SOON, "put the CA's present chain there")
    hosts = names_of(certificate)
    try:
        fqdn: Optional[str] = subject.site().site.fqdn
    except NotHere:
        fqdn = None
    if fqdn is not None and not any(covers(host, fqdn) for host in hosts):
        yield Finding(
            f"it is for {', '.join(hosts) or 'no host name'}, and the site is {fqdn}",
            "ask for one that has the site's name among its DNS names, if clients come to that name here",
            str(path),
        )
    yield from _key(certificate, key)


def names_of(certificate: x509.Certificate) -> list[str]:
    """The names and addresses of the hosts that it is for."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]


def _key(certificate: x509.Certificate, path: Path) -> Iterator[Finding]:
    try:
        public = pem.private_key(path).public_key()
    except PermissionError:
        return  # root's; doctor does not run as root here
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if public.public_bytes(*form) != certificate.public_key().public_bytes(*form):
        yield Finding("the key is not the certificate's", "install the two that belong together", str(path))


def authorities(subject: Subject) -> Iterator[Finding]:
    """The trust directory holds CAs that are good, each with its policy."""
    settings, directory = _trust(subject)
    trust = directory.current()
    anchors = [anchor for found in trust.anchors.values() for anchor in found]
    if not anchors:
        yield Finding(
            "it holds no CA: nobody gets in", "install osg-ca-certs or igtf-ca-certs", str(directory.path)
        )
    for anchor in anchors:
        name = anchor.certificate.subject.rfc4514_string()
        yield from dates(
            anchor.certificate,
            name,
            directory.path,
            subject.now,
            CA_SOON,
            "update the package of CA certificates",
        )
        if settings.require_policy and not anchor.policies:
            yield Finding(
                f"{name} has no signing policy: nobody of that CA gets in",
                "install the CA from a package, which brings it",
                str(directory.path),
            )


def issuers(subject: Subject) -> Iterator[Finding]:
    """The keys of every token issuer of site.yml can be fetched from here: without them its tokens are refused."""
    if not subject.places.identity.exists():
        raise NotHere(f"there is no {subject.places.identity}: no door for grid credentials here")
    urls = [
        url for one in keystone.providers(subject.site()) if one.type == "token" for url in one.remote_ids
    ]
    if not urls:
        raise NotHere("site.yml lets nobody in by token")
    settings = identity.load(subject.places.identity)
    fetch = over_https(str(settings.issuer_ca) if settings.issuer_ca else True)
    for url in dict.fromkeys(urls):
        try:
            found = fetch(url)
        except IssuerDown as error:
            yield Finding(
                f"its keys cannot be fetched: {error.what}",
                "is it reached from here, and its name right in site.yml? Keys that are known stay good for four days",
                url,
            )
            continue
        if not found:
            yield Finding("it publishes no key that signs", "ask the issuer's operators", url)


def revocation(subject: Subject) -> Iterator[Finding]:
    """Revocation lists are current: with an old one nobody of that CA gets in."""
    settings, directory = _trust(subject)
    trust = directory.current()
    todo = "does fetch-crl run? systemctl status fetch-crl.timer (Debian: the cron job of fetch-crl); run it by hand"
    for subject_der, anchors in trust.anchors.items():
        name = anchors[0].certificate.subject.rfc4514_string()
        lists = trust.crls.get(subject_der, ())
        if any(anchor.crl_unreadable for anchor in anchors):
            yield Finding(
                f"the revocation list of {name} cannot be read: nobody of it gets in",
                todo,
                str(directory.path),
            )
        elif not lists and settings.require_crl:
            yield Finding(f"{name} has no revocation list, and require_crl is set", todo, str(directory.path))
        elif lists:
            until = max((one.until for one in lists if one.until), default=None)
            if until is not None and until <= subject.now:
                yield Finding(
                    f"the revocation list of {name} ended {_ago(subject.now - until)} ago: nobody of it gets in",
                    todo,
                    str(directory.path),
                )
            elif until is not None and until - subject.now < CRL_SOON:
                yield Finding(
                    f"the revocation list of {name} ends in {_ago(until - subject.now)}",
                    todo,
                    str(directory.path),
                )


def _trust(subject: Subject) -> tuple[identity.Settings, TrustDirectory]:
    if not subject.places.identity.exists():
        raise NotHere(f"there is no {subject.places.identity}: no door for grid credentials here")
    settings = identity.load(subject.places.identity)
    return settings, TrustDirectory(settings.certificates)


def dates(
    certificate: x509.Certificate, name: str, where: object, now: datetime, soon: timedelta, todo: str
) -> Iterator[Finding]:
    """What is to be said of the days on which a certificate is good."""
    first, last = validity(certificate)
    if now < first:
        yield Finding(
            f"{name} is not valid before {first:%Y-%m-%d %H:%M} UTC",
            "is this host's clock right?",
            str(where),
        )
    elif now > last:
        yield Finding(f"{name} expired {_ago(now - last)} ago, on {last:%Y-%m-%d}", todo, str(where))
    elif last - now < soon:
        yield Finding(f"{name} expires in {_ago(last - now)}, on {last:%Y-%m-%d}", todo, str(where))


def covers(pattern: str, host: str) -> bool:
    """Whether a name of a certificate is for a host."""
    pattern, host = pattern.lower(), host.lower()
    return pattern == host or (pattern.startswith("*.") and host.partition(".")[2] == pattern[2:])


def _ago(span: timedelta) -> str:
    hours = int(span.total_seconds()) // 3600
    return f"{hours} hours" if hours < 48 else f"{hours // 24} days"
