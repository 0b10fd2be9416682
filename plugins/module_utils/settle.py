# Apache License 2.0 (see LICENSE)
"""How a plan becomes the answer of a module."""

from __future__ import annotations

from ansible_collections.osg.site_iaas.plugins.module_utils import face


def settle(module, site, scope=None, prune=None, force=False):
    """Plan, and apply unless in check mode: what the module answers."""
    limits = face.reconcile.Limits(
        prune or face.Prune(),
        force or module.params["force"],
        module.params["max_removed"] / 100,
        module.params["workers"],
        module.params["wait"],
    )
    result = face.reconcile.reconcile(site, limits, scope=scope, dry_run=module.check_mode)
    answer = plain(result.plan, lines=bool(module.params["site"]))
    answer["changed"] = bool(result.plan.changes)
    if module._diff:
        answer["diff"] = dict(zip(("before", "after"), face.sides.sides(result.plan)))
    failed = face.reconcile.failures(result.outcome)
    if failed:
        why = "\n".join(item["reason"] for item in failed)
        answer["changed"] = bool(result.outcome.done)
        module.fail_json(msg=f"{len(failed)} changes failed:\n{why}", failed_changes=failed, **answer)
    return answer


def leave(module, site, kind, name, scope, destroy=()):
    """Plan, and apply unless in check mode, that a VO (its project) or an image goes away."""
    if name in [item.name for item in (site.images if kind == "image" else site.vos)]:
        raise face.SiteError(f"{site.file} still declares {name}", todo="take it out there first")
    answer = settle(module, site, scope, face.Prune(True, frozenset(destroy)), force=True)
    if {"kind": kind, "key": [name]} in answer["unmanaged"]:
        raise face.SiteError(f"{kind} {name} was not made by osg-site-iaas, so it stays")
    for item in answer["held"]:
        module.warn(f"{item['kind']} {'/'.join(item['key'])}: {item['why']}")
    return answer


def plain(plan, lines):
    """A plan as data; the lines of the declaration only where there is a file that has them."""
    data = face.document.to_data(plan)
    for change in () if lines else data["changes"]:
        del change["line"]
    parts = {name: data[name] for name in ("changes", "held", "unmanaged")}
    return {"summary": face.render.summary(plan), **parts}
