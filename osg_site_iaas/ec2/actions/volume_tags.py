"""Tags of volumes that Nova makes for a new server: the server carries them until its volumes are there."""

from __future__ import annotations

import logging
from typing import Callable, Iterable, Optional

from osg_site_iaas.ec2 import marks
from osg_site_iaas.ec2.actions.registry import Call
from osg_site_iaas.ec2.backend.http import RefusedError
from osg_site_iaas.ec2.backend.servers import Document
from osg_site_iaas.ec2.errors import Ec2Error

LOG = logging.getLogger(__name__)
FEW = 5  # servers read one by one; for more, the list that is kept


def waiting(server: Document) -> bool:
    """Whether the server's volumes are to be tagged yet."""
    return (server.get("metadata") or {}).get(marks.VOLUMES) == marks.PENDING


def tag_volumes_of(call: Call, servers: Iterable[Document]) -> None:
    """Tag the volumes of these servers where they are all there. What fails is tried again with the next call."""
    for server in servers:
        if not waiting(server) or server.get("status") in ("BUILD", "ERROR", "DELETED"):
            continue
        tags = marks.tags_as_metadata(marks.volume_tags_of(server["metadata"]))
        try:
            for one in server.get("os-extended-volumes:volumes_attached") or ():
                path = f"/volumes/{one['id']}/metadata"
                call.cloud.request("POST", "volume", path, body={"metadata": tags})
            path = f"/servers/{server['id']}/metadata"
            done = {"metadata": {marks.VOLUMES: marks.TAGGED}}
            call.cloud.request("POST", "compute", path, body=done)
        except (RefusedError, Ec2Error) as error:
            LOG.warning("the volumes of server %s cannot be tagged yet: %s", server["id"], error)
            continue
        call.store.settle(call.project, server["id"])
        call.store.change(call.project, [server["id"]])


def tag_new_volumes(call: Call) -> None:
    """The same for what was started through this host, where volumes are about to be described."""
    keys = call.store.unsettled(call.project)
    if not keys:
        return
    if len(keys) > FEW:
        every = call.views.all(call.cloud, call.project, call.grant.roles)
        tag_volumes_of(call, [every[key] for key in keys if key in every and waiting(every[key])])
        return
    for key, found in zip(keys, call.cloud.gather(*(_reader(call, key) for key in keys))):
        if found is None or not waiting(found):
            call.store.settle(call.project, key)
        else:
            tag_volumes_of(call, [found])


def _reader(call: Call, key: str) -> Callable[[], Optional[Document]]:
    return lambda: call.views.one(call.cloud, key)
