"""What clients meet before the EC2 door: its name, its TLS, and whether that leads to the door."""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
import warnings
from typing import Generator, Iterator, Optional
from urllib.parse import SplitResult, urlsplit

import requests
from cryptography import x509
from urllib3.exceptions import InsecureRequestWarning

from osg_site_iaas.errors import SiteError
from osg_site_iaas.identity.crl import validity
from osg_site_iaas.ops import pem
from osg_site_iaas.ops.checks.doors import short, stranger
from osg_site_iaas.ops.checks.grid import SOON, covers, dates, names_of
from osg_site_iaas.ops.finding import Finding, NotHere
from osg_site_iaas.ops.subject import QUICK, Subject

RELOAD = "systemctl reload nginx (or what ends TLS there)"
# OpenSSL's numbers of what is wrong with a chain (X509_V_ERR_...)
UNTRUSTED = {
    18: (
        "it is signed by nobody but itself",
        "ask a CA that clients know for one; in a trial clients are told of it: AWS_CA_BUNDLE=FILE",
    ),
    19: (
        "it ends in a CA that is not known here",
        "install that CA's certificate, or take one of a known CA",
    ),
    20: (
        "no CA that is known here has issued it, or what stands between it and its CA is not shown",
        "put the CA's chain after the certificate in the proxy's file (fullchain.pem)",
    ),
    21: (
        "what stands between it and its CA is not shown",
        "put the CA's chain after the certificate in the proxy's file (fullchain.pem)",
    ),
}
SERVERS = ("AmazonEC2", "osg-site-iaas")  # as the door calls itself


def ec2_tls(subject: Subject) -> Iterator[Finding]:
    """The address at which clients call EC2 leads to the door, with a certificate that they trust."""
    url = _public(subject)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port  # reading it judges it
        good = parts.scheme in ("http", "https") and bool(host)
    except ValueError:
        good = False
    if not good:
        raise SiteError(
            f"{url!r} is no address that clients can call",
            todo="write it as https://ec2.example.org:8773/: `url` in ec2.yml, or Keystone's catalogue",
        )
    if parts.scheme != "https":
        if _is_loopback(host):
            raise NotHere(f"{url} is for this host alone, without TLS")
        yield Finding(
            "clients are told to come without TLS: user data, in which secrets travel, can be read on the way",
            "put TLS in front, and tell clients https://...: `url` in ec2.yml, and the catalogue",
            url,
        )
    elif not (yield from _tls(subject, parts, url)):
        return
    yield from _behind(subject, url)


def _public(subject: Subject) -> str:
    """Where clients call EC2: as ec2.yml says, or else Keystone's catalogue."""
    if subject.places.ec2.exists():
        from osg_site_iaas.ec2.settings import load_settings  # its own package may not be installed

        url = load_settings(subject.places.ec2).url
        if url is not None:
            return url
    cloud = subject.cloud()
    found: Optional[str] = cloud.session.get_endpoint(
        service_type="ec2", interface="public", region_name=cloud.region
    )
    if not found:
        raise NotHere(
            f"neither `url` in {subject.places.ec2} nor Keystone's catalogue says where clients call EC2"
        )
    return found


def _tls(subject: Subject, parts: SplitResult, url: str) -> Generator[Finding, None, bool]:
    """What is wrong with the TLS; whether there was somebody who shows a certificate, good or bad."""
    host, port = parts.hostname or "", parts.port or 443
    try:
        shown = _handshake(host, port, _any())
    except socket.gaierror:
        yield Finding(
            f"the name {host} cannot be resolved here",
            "is it in the site's DNS? `getent hosts` asks as this host does, /etc/resolv.conf names whom",
            url,
        )
        return False
    except ssl.SSLError as error:
        yield Finding(
            f"port {port} speaks no TLS that clients speak: {error.reason or error}",
            "does the proxy end TLS 1.2 or 1.3 on that port? nginx: `listen ... ssl`",
            url,
        )
        return False
    except OSError as error:
        yield Finding(
            f"cannot be reached: {short(error)}",
            "does what ends TLS run (systemctl status nginx, or haproxy), and does the firewall let it be reached?",
            url,
        )
        return False
    certificate = x509.load_der_x509_certificate(shown)
    name, todo = "the certificate that it shows", f"renew it, then {RELOAD}"
    late = list(dates(certificate, name, url, subject.now, SOON, todo))
    yield from late
    if not any(covers(one, host) for one in names_of(certificate)):
        yield Finding(
            f"its certificate is for {', '.join(names_of(certificate)) or 'no host name'}, and clients come to {host}",
            "ask for one that has this name among its DNS names, or tell clients the other name",
            url,
        )
    if all("expires in" in one.what for one in late):  # else nobody trusts it, whoever issued it
        yield from _trusted(subject, host, port, url)
    yield from _renewed(subject, certificate, url)
    return True


def _trusted(subject: Subject, host: str, port: int, url: str) -> Iterator[Finding]:
    context = ssl.create_default_context()
    context.check_hostname = False  # which is said in better words already
    grid = subject.places.grid / "certificates"
    if grid.is_dir():
        context.load_verify_locations(capath=str(grid))
    try:
        _handshake(host, port, context)
    except ssl.SSLCertVerificationError as error:
        why, todo = UNTRUSTED.get(
            error.verify_code, (error.verify_message, f"openssl s_client -connect {host}:{port} shows it")
        )
        yield Finding(f"its certificate is not trusted by who knows this host's CAs: {why}", todo, url)
    except OSError as error:
        yield Finding(f"its certificate could not be looked at twice: {error}", "run doctor again", url)


def _renewed(subject: Subject, shown: x509.Certificate, url: str) -> Iterator[Finding]:
    """Whether the proxy goes on with an older one than lies on this host."""
    path = subject.places.grid / "hostcert.pem"
    try:
        kept = pem.certificates(path)[0]
    except (SiteError, OSError):
        return  # which another check says, or there is none
    same = (kept.subject, kept.issuer) == (shown.subject, shown.issuer)
    if same and validity(kept)[0] > validity(shown)[0]:
        yield Finding(f"shows an older certificate than {path}", f"{RELOAD}, after a renewal", url)


def _behind(subject: Subject, url: str) -> Iterator[Finding]:
    """Whether the door is what answers there: it refuses a stranger in EC2's words."""
    unit = "systemctl status osg-site-iaas-ec2, and where the proxy sends requests (nginx: proxy_pass)"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InsecureRequestWarning)
            # its certificate was looked at above; nothing secret is sent
            answer = requests.post(url, data=stranger(subject), timeout=4 * QUICK, verify=False)  # noqa: S501
    except requests.RequestException as error:
        yield Finding(f"does not answer a request: {short(error)}", unit, url)
        return
    code = re.search(r"<Errors><Error><Code>(\w+)</Code>", answer.text[:4000])
    if code is None:
        reaches = "the proxy does not reach the door" if answer.status_code in (502, 503, 504) else ""
        yield Finding(
            f"answers {answer.status_code}: {reaches or 'it is not the EC2 door that answers there'}",
            unit,
            url,
        )
        return
    if answer.status_code not in (400, 401, 403):
        yield Finding(
            f"a request that nobody signed is answered {answer.status_code} {code[1]}, not refused",
            "look at `ec2` on the door's host: osg-site-iaas doctor --only ec2",
            url,
        )
    server = answer.headers.get("Server", "nothing").strip()
    if not server.startswith(SERVERS):
        yield Finding(
            f"says {server} as its Server, and HTCondor looks for the door's own",
            "let the proxy pass the door's header on: nginx: `proxy_pass_header Server;`",
            url,
        )


def _handshake(host: str, port: int, context: ssl.SSLContext) -> bytes:
    plain = socket.create_connection((host, port), QUICK)
    with plain, context.wrap_socket(plain, server_hostname=host) as connection:
        return connection.getpeercert(binary_form=True) or b""


def _any() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
