"""Write a first site.yml from what OSG Topology and vo-client already know.

Name the Resource that your cloud is registered as, and the VOs that may use it:

  osg-site-iaas init --resource Example-Cloud --all-supported > site.yml
  osg-site-iaas init --resource Example-Cloud --vo IceCube --vo CMS --output site.yml
  osg-site-iaas init --topology /srv/topology --resource Example-Cloud --all --output site.yml

A VO gets the access lines that fit it: FQANs from vo-client's voms-mapfile-default, from Topology's reporting groups
and from the VOMS servers in vomsdir, and token issuers from Topology. Each says in a comment where it comes from, and
REVIEW marks what wants a decision of yours. VOs that Topology calls inactive are taken, and switched off.

A folder for --topology holds rgsummary.xml and vosummary.xml, and may hold vo-client/voms-mapfile-default and
vo-client/vomsdir; else those of the RPM vo-client are read from where it installs them.
The same documents always give the same file. No cloud is contacted. `osg-site-iaas check` is the next step.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, Optional

from osg_site_iaas.cli import terminal, topology_source
from osg_site_iaas.declaration import load
from osg_site_iaas.declaration.topology import organisations, resources, text
from osg_site_iaas.declaration.topology.draft import Draft, draft, supported
from osg_site_iaas.declaration.topology.organisations import Organisation
from osg_site_iaas.declaration.topology.resources import Resource
from osg_site_iaas.errors import SiteError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    url = topology_source.URL
    parser.add_argument("--topology", default=url, metavar="DIR|URL", help=f"where Topology is read ({url})")
    parser.add_argument("--vo-client", metavar="DIR", help="folder with voms-mapfile-default and vomsdir")
    parser.add_argument(
        "--resource", required=True, metavar="NAME", help="your Resource, as Topology names it"
    )
    which = parser.add_argument_group("which VOs")
    which.add_argument(
        "--vo", action="append", default=[], metavar="NAME", help="this VO; may be given again"
    )
    which.add_argument(
        "--all-supported", action="store_true", help="the VOs that own the Resource or its ResourceGroup"
    )
    which.add_argument("--all", action="store_true", help="every VO of Topology, inactive ones switched off")
    parser.add_argument(
        "--cloud", default="openstack", metavar="NAME", help="entry in clouds.yaml (openstack)"
    )
    parser.add_argument("--fqdn", metavar="HOST", help="host name of the cloud, if it is not the Resource's")
    parser.add_argument("--output", metavar="FILE", help="write to this file, not to standard output")
    parser.add_argument(
        "--force", action="store_true", help="replace the file; the old one is kept as FILE.bak"
    )
    parser.add_argument(
        "--json", action="store_true", help="print a summary, and without --output the text, as JSON"
    )


def run(args: argparse.Namespace) -> int:
    """Write the file, and say on standard error what is in it; 0, or SiteError."""
    output = Path(args.output) if args.output is not None else None
    if output is not None:
        _writable(output, args.force)
    with terminal.progress("reading Topology") as step:
        step(args.topology, 0, 0)
        source = topology_source.read(args.topology, args.vo_client)
    made = _draft(args, source)
    words = text.render(made, source=source.name, cloud=args.cloud)
    _checked(words)
    if output is not None:
        _write(output, words, args.force)
    if args.json:
        terminal.dump(_summary(made, source.name, output, words))
    elif output is None:
        sys.stdout.buffer.write(words.encode("utf-8"))  # whatever the locale says
        sys.stdout.buffer.flush()
    terminal.say(_told(made, output))
    return 0


def _draft(args: argparse.Namespace, source: topology_source.Source) -> Draft:
    every = resources.read(source.resources, source.resources_at)
    known = organisations.read(source.organisations, source.organisations_at)
    resource = resources.find(every, args.resource, source.resources_at)
    owners = supported(resource, every)
    chosen = _chosen(args, resource, known, owners, source.organisations_at)
    reasons = owners if args.all_supported else {name: owners[name] for name in owners if name in chosen}
    return draft(resource, list(chosen.values()), known, source.client, args.fqdn, reasons)


def _chosen(
    args: argparse.Namespace,
    resource: Resource,
    known: tuple[Organisation, ...],
    owners: dict[str, str],
    where: str,
) -> dict[str, Organisation]:
    """The VOs asked for, by name and in Topology's order; those named on the command line must exist."""
    wanted = {one.name for one in organisations.find(known, args.vo, where)}
    if args.all:
        wanted |= {one.name for one in known}
    if args.all_supported:
        wanted |= set(owners)
    found = {one.name: one for one in known if one.name in wanted}
    if not found:
        named = f" (Topology says {', '.join(owners)})" if owners else ""
        if args.all_supported:
            what = (
                f"Topology names no VO that owns {resource.name!r} or its resource group {resource.group!r}"
            )
            raise SiteError(what, where=where, todo="name VOs with --vo, or take --all")
        todo = f"give --vo NAME, --all-supported{named} or --all"
        raise SiteError("no VO was asked for", where=f"resource {resource.name!r}", todo=todo)
    return found


def _checked(words: str) -> None:
    """Refuse to hand out a file that ``check`` would refuse."""
    problems = load.report_bytes("site.yml", words.encode("utf-8")).problems
    if problems:
        listed = "\n".join(str(problem) for problem in problems)
        what = f"what would be written is no good declaration, so nothing was:\n{listed}"
        raise SiteError(what, todo="correct what was given; if that was in order, report it")


def _writable(output: Path, force: bool) -> None:
    """Say before any work that the file is there already, or cannot be."""
    if output.is_dir():
        raise SiteError("it is a folder", where=str(output), todo=f"write to {output / 'site.yml'}")
    if not output.parent.is_dir():
        raise SiteError("its folder does not exist", where=str(output), todo=f"make {output.parent} first")
    if os.path.lexists(output) and not force:
        raise _exists(output)


def _write(output: Path, words: str, force: bool) -> None:
    """Write the whole file or none, and with ``force`` keep the one that was there."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{output.name}.", dir=output.parent)
        new = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(words)
            new.chmod(0o666 & ~_umask())
            if force and os.path.lexists(output):
                os.link(output, _spare(output), follow_symlinks=False)
                new.replace(output)
            else:
                os.link(new, output)
        finally:
            new.unlink(missing_ok=True)
    except FileExistsError as error:
        raise _exists(output) from error
    except OSError as error:
        raise SiteError(f"it cannot be written: {error.strerror or error}", where=str(output)) from error


def _exists(output: Path) -> SiteError:
    todo = f"write elsewhere, or replace it with --force, which keeps it as {output.name}.bak"
    return SiteError("it exists already", where=str(output), todo=todo)


def _spare(output: Path) -> Path:
    """A name for the file that was there, taken by no other."""
    number, spare = 1, output.with_name(f"{output.name}.bak")
    while os.path.lexists(spare):
        number += 1
        spare = output.with_name(f"{output.name}.bak{number}")
    return spare


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _summary(made: Draft, source: str, output: Optional[Path], words: str) -> dict[str, Any]:
    return {
        "topology": source,
        "resource": made.resource.name,
        "group": made.resource.group,
        "facility": made.resource.facility,
        "fqdn": made.fqdn,
        "services": list(made.resource.services),
        "vos": [
            {
                "name": entry.name,
                "topology_name": entry.organisation.name,
                "parent": entry.parent,
                "enabled": entry.organisation.active,
                "access_lines": len(entry.lines),
                "reason": entry.reason or None,
                "reviews": list(entry.reviews),
            }
            for entry in made.entries
        ],
        "token_issuers": [url for _, url in made.issuers],
        "reviews": list(made.reviews),
        "output": str(output) if output is not None else None,
        **({} if output is not None else {"text": words}),
    }


def _told(made: Draft, output: Optional[Path]) -> str:
    """What is in the file, in a sentence or two."""
    shut = sum(1 for entry in made.entries if not entry.lines)
    off = sum(1 for entry in made.entries if not entry.organisation.active)
    lines = sum(len(entry.lines) for entry in made.entries)
    reviews = len(made.reviews) + sum(len(entry.reviews) for entry in made.entries)
    count = len(made.entries)
    words = f"{made.resource.name}: {count} VO{'s' if count != 1 else ''}, {lines} access lines"
    words += f", {len(made.issuers)} token issuers" if made.issuers else ""
    words += f"; {off} switched off as inactive" if off else ""
    words += f"; {shut} with nobody to let in yet" if shut else ""
    words += f"; {reviews} to review" if reviews else ""
    after = (
        f"next: osg-site-iaas check {output}"
        if output is not None
        else "next: save it, and osg-site-iaas check it"
    )
    return f"{words}\n{after}"
