"""The text of a first site.yml, with a comment wherever a person might ask why, and REVIEW where they must decide."""

from __future__ import annotations

import re
import textwrap
from typing import Iterable, Iterator

import yaml

from osg_site_iaas.declaration.topology.claims import Line
from osg_site_iaas.declaration.topology.document import clean
from osg_site_iaas.declaration.topology.draft import GRID, Draft, Entry

WIDTH = 110
_TTL = 1440  # minutes
_PLAIN = re.compile(r"[^\W\d_](?:[\w./+()&-]|,? |'(?=\w))*(?<! )")
_PLAIN_INSIDE = re.compile(r"(?:https://)?[A-Za-z/][A-Za-z0-9._/*=+@-]*")
_WORDS = ("y", "n", "yes", "no", "on", "off", "true", "false", "null")
_DESCRIPTION = 255  # the longest that OpenStack takes

_OPTIONAL = """\
# What a VO gets unless its own entry says otherwise. REVIEW: a limit that is not named is left to OpenStack.
# defaults:
#   quota:
#     compute: {instances: 10, cores: 20, ram: 40 GiB}
#     network: {floatingip: 2}
#     volume: {volumes: 10, gigabytes: 100}

# Sizes of servers, for everybody unless `vos` names some. REVIEW: without one nobody can start a server.
# flavours:
#   osg.small: {vcpus: 1, ram: 2 GiB, disk: 20 GiB}
#   osg.large: {vcpus: 8, ram: 16 GiB, disk: 80 GiB}
"""


def render(draft: Draft, *, source: str, cloud: str) -> str:
    """The file's text, the same for the same draft.

    ``source`` says where Topology was read; ``cloud`` is what clouds.yaml calls the site's OpenStack.
    """
    return "".join(f"{line}\n" for line in _lines(draft, source, cloud))


def _lines(draft: Draft, source: str, cloud: str) -> Iterator[str]:
    resource = draft.resource
    yield from _comment(
        f"site.yml of {resource.name}, begun by `osg-site-iaas init` from OSG Topology ({clean(source)}). It is yours"
        " from here on: edit it, then `osg-site-iaas check`, `plan` and `apply` it. REVIEW marks what wants a"
        " decision of yours."
    )
    yield from _reviews(draft.reviews)
    yield "version: 1"
    yield ""
    yield "site:"
    yield f"  resource: {_scalar(resource.name)}  # the SiteName of its accounting"
    yield f"  fqdn: {_scalar(draft.fqdn)}"
    yield f"  group: {_scalar(resource.group)}"
    if resource.facility is not None:
        yield f"  facility: {_scalar(resource.facility)}"
    yield ""
    yield "cloud:"
    yield f"  name: {_scalar(cloud)}  # REVIEW: the entry in clouds.yaml that holds an administrator's credentials"
    yield ""
    yield from _OPTIONAL.splitlines()
    if draft.grid or draft.issuers:
        yield ""
        yield from _providers(draft)
    yield ""
    yield from _comment(
        "The first line that fits a credential decides, from top to bottom; so a VO within another one's FQANs"
        " stands before it. Order matters."
    )
    yield "vos:"
    for entry in draft.entries:
        yield from _entry(entry)


def _providers(draft: Draft) -> Iterator[str]:
    yield from _comment(
        "Who vouches for people. A login proves membership for authorization_ttl minutes: EC2 keys of a person stop"
        " working that long after the last login."
    )
    yield "identity_providers:"
    if draft.grid:
        yield f"  {GRID}:  # VOMS proxies and grid certificates"
        yield "    type: x509"
        yield f"    authorization_ttl: {_TTL}"
    for number, (name, url) in enumerate(draft.issuers):
        yield f"  {_scalar(name)}:"
        yield "    type: token"
        yield f"    remote_ids: [{_inside(url)}]"
        words = "  # REVIEW: what `aud` of the tokens must be, here and below" if number == 0 else ""
        yield f"    audiences: [https://{draft.fqdn}]{words}"
        yield f"    authorization_ttl: {_TTL}"


def _entry(entry: Entry) -> Iterator[str]:
    vo = entry.organisation
    yield ""
    yield f"  {_scalar(entry.name)}:" + (f"  # {clean(entry.reason)}" if entry.reason else "")
    yield from _reviews(entry.reviews, "    ")
    if vo.long_name is not None:
        yield f"    description: {_scalar(vo.long_name[:_DESCRIPTION].strip())}"
    if entry.name != vo.name:
        yield f"    reporting_name: {_scalar(vo.name)}"
    if entry.parent is not None:
        yield f"    parent: {_scalar(entry.parent)}"
    if not vo.active:
        yield "    enabled: false"
    if not entry.lines:
        yield "    access: []"
        return
    if entry.narrower:
        words = ", ".join(entry.narrower)
        yield from _comment(
            f"Narrower ones that are known, for lines of their own above the wider: {words}", "    "
        )
    yield "    access:"
    for line in entry.lines:
        words = "; ".join(line.sources)
        short = f"      - {_access(line)}  # {clean(words)}"
        if len(short) <= WIDTH:
            yield short
        else:
            yield from _comment(words, "      ")
            yield f"      - {_access(line)}"


def _access(line: Line) -> str:
    if line.fqan is not None:
        return f"{{fqan: {_inside(line.fqan)}}}"
    narrowed = f", subject: {_inside(line.subject)}" if line.subject is not None else ""
    return f"{{issuer: {_inside(line.issuer or '')}{narrowed}}}"


def _reviews(reviews: Iterable[str], indent: str = "") -> Iterator[str]:
    for words in reviews:
        yield from _comment(f"REVIEW: {words}", indent)


def _comment(words: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        clean(words),
        WIDTH,
        initial_indent=f"{indent}# ",
        subsequent_indent=f"{indent}# ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _scalar(words: str) -> str:
    """A text as YAML, in quotes unless every reader of YAML, old or new, takes it for a text without them."""
    words = clean(words)
    return words if _PLAIN.fullmatch(words) and words.lower() not in _WORDS else _quoted(words)


def _inside(words: str) -> str:
    """The same between brackets or braces, where less may stand without quotes."""
    return words if _PLAIN_INSIDE.fullmatch(words) and words.lower() not in _WORDS else _quoted(words)


def _quoted(words: str) -> str:
    return str(yaml.safe_dump(words, default_style='"', width=2**30, allow_unicode=True)).rstrip("\n")
