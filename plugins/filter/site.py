# Apache License 2.0 (see LICENSE)
"""Questions that roles and playbooks ask of a declaration; each has its documentation beside this file."""

from __future__ import annotations

import sys

from ansible.errors import AnsibleFilterError

try:
    from osg_site_iaas.declaration import kolla, units
    from osg_site_iaas.declaration.public import at
    from osg_site_iaas.errors import SiteError
except ImportError as error:
    MISSING = error
else:
    MISSING = None


def vo_names(site, enabled=True):
    """Names of the VOs, without those that are switched off unless ``enabled`` is false."""
    return [name for name, vo in at(site, "vos").items() if vo["enabled"] or not enabled]


def fqans_of(site, vo):
    """The FQANs that let somebody into a VO, in their order and once each."""
    lines = at(site, f"vos.{vo}.access")
    return list(dict.fromkeys(line["fqan"] for line in lines if "fqan" in line))


def quota_of(site, vo):
    """A VO's limits by service and name, defaults filled in."""
    return at(site, f"vos.{vo}.quota")


def caches_of(site, vo, kind=None):
    """The caches that serve a VO, by name; of one type where it is given."""
    at(site, f"vos.{vo}")
    caches = at(site, "caches").items()
    return {n: c for n, c in caches if (not c["vos"] or vo in c["vos"]) and kind in (None, c["type"])}


def size_in(value, unit):
    """A size such as ``40 GiB`` as a whole number of B, MiB or GiB."""
    if unit not in ("B", "MiB", "GiB"):
        raise SiteError(f"{unit!r} is not a unit", todo="use B, MiB or GiB")
    try:
        return units.size(value if isinstance(value, int) else str(value), unit)
    except units.Unfit as error:
        raise SiteError(error.what, todo=error.todo) from error


def kolla_overrides(site, metadata=None):
    """What kolla-ansible must be told for this project to work beside its cloud: content by file."""
    at(site, "site")
    return kolla.overrides(site, metadata)


def _guarded(question):
    def ask(*args, **kwargs):
        if MISSING:
            raise AnsibleFilterError(
                f"{MISSING}: install osg-site-iaas for the Python that runs Ansible, {sys.executable}"
            )
        try:
            return question(*args, **kwargs)
        except SiteError as error:
            raise AnsibleFilterError(
                str(error)
            ) from None  # Ansible would append the cause's text, which is the same

    return ask


FILTERS = (vo_names, fqans_of, quota_of, caches_of, size_in, kolla_overrides)


class FilterModule:
    def filters(self):
        """The filters by name."""
        return {f.__name__: _guarded(f) for f in FILTERS}
