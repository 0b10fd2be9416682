# Apache License 2.0 (see LICENSE)
"""What the modules have in common: the package behind them, and where the declaration comes from."""

from __future__ import annotations

import traceback

from ansible.module_utils.basic import missing_required_lib

try:
    # the modules take what they need of the package from here, so that its absence is told in one place
    from osg_site_iaas.cloud import reconcile, tenants  # noqa: F401
    from osg_site_iaas.cloud.scope import PARTS, Scope  # noqa: F401
    from osg_site_iaas.declaration.load import load
    from osg_site_iaas.declaration.made import site_from
    from osg_site_iaas.errors import DeclarationError, SiteError
    from osg_site_iaas.plan import document, render, sides  # noqa: F401
    from osg_site_iaas.plan.model import Prune  # noqa: F401
except ImportError as error:
    MISSING = (error.name or "osg_site_iaas", traceback.format_exc())
else:
    MISSING = None

REASON = (
    "by osg.site_iaas: set ansible_python_interpreter to a Python that has osg-site-iaas, or install it there"
)

FROM = {"site": {"type": "path"}, "workers": {"type": "int", "default": 8}}
HEADER = {
    "cloud": {"type": "str"},
    "domain": {"type": "str"},
    "region": {"type": "str"},
    "endpoint_type": {"type": "str", "choices": ["public", "internal", "admin"]},
    "admin_projects": {"type": "list", "elements": "str"},
    "secrets": {"type": "path", "no_log": False},
    "identity_providers": {"type": "dict"},
}
BOUNDS = {
    "wait": {"type": "float", "default": 60},
    "force": {"type": "bool", "default": False},
    "max_removed": {"type": "float", "default": 30},
}


def run(module, work):
    """End the module with what ``work`` returns, or with the sentence that it raises."""
    if MISSING:
        module.fail_json(msg=missing_required_lib(MISSING[0], reason=REASON), exception=MISSING[1])
    try:
        answer = work(module)
    except SiteError as error:
        problems = error.problems if isinstance(error, DeclarationError) else ()
        module.fail_json(msg=str(error), problems=[vars(problem) for problem in problems])
    module.exit_json(**answer)


def declared(params, **sections):
    """The site that the parameters name, or declare themselves."""
    if params["site"]:
        return load(params["site"])
    cloud = given(params, "domain", "endpoint_type", "admin_projects", "secrets")
    header = {"resource": params["domain"] or "osg", "fqdn": "cloud.invalid", **given(params, "region")}
    data = {"version": 1, "site": header, "cloud": {"name": params["cloud"], **cloud}, **sections}
    return site_from({**data, **given(params, "identity_providers")}, called="the parameters")


def given(params, *names):
    """Those of the parameters that were given; inside them too."""
    return {name: _said(params[name]) for name in names if params.get(name) is not None}


def _said(value):
    if isinstance(value, dict):
        return {name: _said(item) for name, item in value.items() if item is not None}
    return [_said(item) for item in value] if isinstance(value, list) else value


def undeclared(site, what, name):
    """The error that a file does not speak of what it is asked for."""
    return SiteError(f"{site.file} declares no {what} {name!r}", todo="add it there, or correct the name")


def named(entries, what):
    """Entries with a name each, by their names."""
    found = {entry.pop("name"): entry for entry in entries}
    if len(found) < len(entries):
        raise SiteError(f"{what} names one of its entries twice", todo="write each once")
    return found
