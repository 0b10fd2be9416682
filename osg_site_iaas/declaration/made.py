"""A declaration that a program has put together instead of a person: the same shape, the same checks."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Mapping

from osg_site_iaas.declaration.load import report_bytes
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.errors import DeclarationError


def site_from(data: Mapping[str, Any], *, called: str) -> Site:
    """The site that ``data``, in the shape of a site.yml, declares; DeclarationError with every problem.

    ``called`` stands in problems where the file's name would; there are no lines to point to, only paths. Relative
    paths in ``data`` start from the current folder.
    """
    found = report_bytes(called, json.dumps(data, ensure_ascii=False).encode())
    if found.site is None:
        raise DeclarationError(replace(problem, line=0, column=0) for problem in found.problems)
    return found.site
