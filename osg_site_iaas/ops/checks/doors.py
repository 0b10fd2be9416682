"""What listens: the EC2 door, the metadata door, Keystone's grid front, caches; and what the probe has left to do."""

from __future__ import annotations

import socket
import ssl
from http.client import HTTPConnection, HTTPException
from typing import Iterator
from urllib.parse import urlsplit

import requests
from cryptography.hazmat.primitives.serialization import Encoding

from osg_site_iaas.accounting.settings import Settings, from_probe_config, from_site
from osg_site_iaas.accounting.status import status
from osg_site_iaas.accounting.store import FILE, Store
from osg_site_iaas.cloud.silence import why_silent
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.errors import SiteError
from osg_site_iaas.ops import pem
from osg_site_iaas.ops.finding import Finding, NotHere
from osg_site_iaas.ops.subject import QUICK, Subject

CACHE_PORTS = {"squid": 3128, "xcache": 1094, "cvmfs": 80}
METADATA = "127.0.0.1:8775"
FRONT = "127.0.0.1:8790"  # where its unit has it tell of itself
# Signed by nobody: whether Keystone is asked and says no is what is wanted.
NOBODY = {
    "Action": "DescribeRegions",
    "Version": "2016-11-15",
    "AWSAccessKeyId": "doctor",
    "SignatureVersion": "2",
    "SignatureMethod": "HmacSHA256",
    "Signature": "none",
}


def ec2(subject: Subject) -> Iterator[Finding]:
    """The EC2 door answers, and refuses a stranger in Keystone's name."""
    if not subject.places.ec2.exists():
        raise NotHere(f"there is no {subject.places.ec2}: no EC2 door here")
    from osg_site_iaas.ec2.settings import load_settings  # its own package may not be installed

    settings = load_settings(subject.places.ec2)
    unit = "systemctl status osg-site-iaas-ec2; journalctl -u osg-site-iaas-ec2 -n 50"
    url = f"http://{_reachable(settings.bind)}"
    try:
        health = requests.get(f"{url}/health", timeout=QUICK)
        answer = requests.post(url, data=stranger(subject), timeout=4 * QUICK)
    except requests.RequestException as error:
        yield Finding(f"does not answer: {short(error)}", unit, url)
        return
    if health.status_code != 200:
        yield Finding(f"/health answers {health.status_code}", unit, url)
    if answer.status_code not in (400, 401, 403):
        yield Finding(
            f"a request that nobody signed is answered {answer.status_code}, not refused: it cannot ask Keystone",
            f"is its entry {settings.cloud!r} in clouds.yaml good, and has it the role service? {unit}",
            url,
        )


def front(subject: Subject) -> Iterator[Finding]:
    """Keystone's front in Python answers, and could let grid credentials in."""
    env = subject.places.etc / "front.env"
    if not env.exists() and not (subject.places.enabled / "osg-site-iaas-front.service").exists():
        raise NotHere("osg-site-iaas-front is not set up here (in Apache, Keystone's own log tells)")
    url = f"http://{_reachable(subject.places.bind('front', FRONT, '--status'))}/health"
    unit = "systemctl status osg-site-iaas-front; journalctl -u osg-site-iaas-front -n 50"
    try:
        answer = requests.get(url, timeout=QUICK)
    except requests.RequestException as error:
        yield Finding(f"does not answer: {short(error)}", f"nobody can log in: {unit}", url)
        return
    if answer.status_code != 200:
        yield Finding(f"cannot let grid credentials in: {_why(answer)}", unit, url)
    yield from _served(subject)


def _served(subject: Subject) -> Iterator[Finding]:
    """Whether the front shows the certificate that lies there now: it goes on with the one of its start."""
    file = subject.places.grid / "hostcert.pem"
    listens = (
        subject.places.bind("front", "0.0.0.0", "--address"),  # noqa: S104 - where the unit has it listen
        subject.places.bind("front", "5000", "--port"),
    )
    at = _reachable("[{}]:{}".format(*listens) if ":" in listens[0] else "{}:{}".format(*listens))
    if not file.exists():
        return
    any_certificate = ssl.create_default_context()
    any_certificate.check_hostname, any_certificate.verify_mode = False, ssl.CERT_NONE
    host, _, port = at.rpartition(":")
    try:
        plain = socket.create_connection((host.strip("[]"), int(port)), QUICK)
        with plain, any_certificate.wrap_socket(plain) as connection:
            shown = connection.getpeercert(binary_form=True) or b""
    except (OSError, ValueError) as error:
        yield Finding(
            f"takes no connection by TLS: {short(error)}", "journalctl -u osg-site-iaas-front -n 50", at
        )
        return
    try:
        kept = pem.certificates(file)[0].public_bytes(Encoding.DER)
    except SiteError:
        return  # `certificates` says what is wrong with the file
    if shown != kept:
        yield Finding(
            f"shows another certificate than {file}",
            "systemctl restart osg-site-iaas-front, after a renewal",
            at,
        )


def _why(answer: requests.Response) -> str:
    try:
        return str(answer.json()["why"])
    except (ValueError, LookupError, TypeError):
        return f"/health answers {answer.status_code}"


def metadata(subject: Subject) -> Iterator[Finding]:
    """The metadata door answers."""
    login, name = subject.places.clouds / "metadata.yaml", "osg-site-iaas-metadata.service"
    if not login.exists() and not (subject.places.enabled / name).exists():
        raise NotHere(f"there is no {login}, and {name} is not enabled: no metadata door here")
    file = subject.places.bind("metadata", "", "--socket")
    url = file or f"http://{_reachable(subject.places.bind('metadata', METADATA))}/health"
    unit = "systemctl status osg-site-iaas-metadata; journalctl -u osg-site-iaas-metadata -n 50"
    try:
        code = _over_socket(file) if file else requests.get(url, timeout=QUICK).status_code
    except (requests.RequestException, OSError, HTTPException) as error:
        yield Finding(f"does not answer: {short(error)}", f"instances get no user data: {unit}", url)
        return
    if code != 200:
        yield Finding(f"answers {code}", unit, url)


def _over_socket(file: str) -> int:
    """What the door answers that takes the place of Neutron's agent: there it has no port."""
    connection = HTTPConnection("localhost", timeout=QUICK)
    with socket.socket(socket.AF_UNIX) as connection.sock:
        connection.sock.settimeout(QUICK)
        connection.sock.connect(file)
        connection.request("GET", "/health")
        return connection.getresponse().status


def caches(subject: Subject) -> Iterator[Finding]:
    """Each declared cache takes connections."""
    site = subject.site()
    if not site.caches:
        raise NotHere("site.yml declares none")
    for cache in site.caches:
        port = cache.port if isinstance(cache.port, int) else CACHE_PORTS.get(cache.type, 80)
        try:
            socket.create_connection((cache.host, port), timeout=QUICK).close()
        except OSError as error:
            yield Finding(
                f"{cache.name}: {cache.host}:{port} cannot be reached: {short(error)}",
                "is it running, and open to this host in its firewall?",
                site.where(f"caches.{cache.name}"),
            )


def accounting(subject: Subject) -> Iterator[Finding]:
    """Usage is read and records are sent: what the probe says of itself."""
    with Store(probe_settings(subject).folder, readonly=True) as store:
        found = status(store, subject.now)
    for what in found.findings:
        yield Finding(
            what, f"osg-site-iaas accounting status {subject.file}; journalctl -u gratia-probe-openstack"
        )


def probe_settings(subject: Subject) -> Settings:
    """How the probe is set up on this host; NotHere if it is not."""
    site: Site = subject.site()
    config = subject.places.probe_config
    settings = from_probe_config(site, config) if config.exists() else from_site(site)
    if not settings.enabled and not config.exists():
        raise NotHere("accounting.enabled is false")
    if not (settings.folder / FILE).exists() and not config.exists():
        raise NotHere(f"there is no {config} and no {settings.folder / FILE}: no probe here")
    return settings


def stranger(subject: Subject) -> dict[str, str]:
    """A request that nobody has signed."""
    return {**NOBODY, "Timestamp": subject.now.strftime("%Y-%m-%dT%H:%M:%SZ")}


def _reachable(bind: str) -> str:
    """An address to connect to, for one to listen on."""
    host = urlsplit(f"//{bind}")
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host.hostname or "", host.hostname or "")  # noqa: S104
    if not name:
        raise SiteError(f"{bind!r} is no address to listen on", todo="write it as 127.0.0.1:8788")
    return f"[{name}]:{host.port}" if ":" in name else f"{name}:{host.port}"


def short(error: Exception) -> str:
    """The part of an error of requests that a person reads."""
    return why_silent(error) or str(error).split(" (Caused")[0][:160]
