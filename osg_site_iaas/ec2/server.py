"""The door under gunicorn: worker processes with threads, a graceful reload on SIGHUP."""

from __future__ import annotations

import os
from typing import Any, Callable, Mapping

from osg_site_iaas import journal
from osg_site_iaas.ec2.door import make_door
from osg_site_iaas.ec2.settings import Settings
from osg_site_iaas.ec2.wsgi import Application
from osg_site_iaas.errors import SiteError

KEYSTONE_SECONDS = 15  # for one answer of Keystone to the door
GRACE = 70  # seconds for requests under way at a reload or stop: more than one request may take


def own_session(cloud: str) -> Any:
    """A keystoneauth session of an entry in clouds.yaml; it logs in when it is first used."""
    from openstack import exceptions
    from openstack.config import OpenStackConfig

    try:
        region = OpenStackConfig(app_name="osg-site-iaas-ec2").get_one(cloud=cloud)
        session = region.get_session()
    except (exceptions.SDKException, KeyError) as error:
        raise SiteError(
            f"the door's own credential cannot be used: {error}",
            where=f"clouds.yaml, cloud {cloud}",
            todo="name the cloud in ec2.yml, and write it to clouds.yaml",
        ) from error
    session.timeout = KEYSTONE_SECONDS
    return session


def sessions(settings: Settings) -> tuple[Any, Any]:
    """The door's own session, and that of its system reader where it has one."""
    reader = own_session(settings.secrets_cloud) if settings.secrets_cloud else None
    return own_session(settings.cloud), reader


def run_server(
    options: Mapping[str, Any], load: Callable[[], Any], server_name: str = "osg-site-iaas"
) -> None:
    """Serve what ``load`` makes in each worker, until SIGTERM. SiteError where gunicorn is missing."""
    try:
        import gunicorn.http.wsgi
        from gunicorn.app.base import BaseApplication
    except ImportError as error:
        raise SiteError("this needs gunicorn", todo="install python3-gunicorn") from error
    # HTCondor tells Amazon from others by this header; gunicorn has no setting for its name.
    gunicorn.http.wsgi.SERVER = server_name
    os.umask(0o077)

    class Server(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            for name, value in {**COMMON, **options}.items():
                self.cfg.set(name, value)

        def load(self) -> Any:
            return load()

    Server().run()


COMMON: Mapping[str, Any] = {
    "worker_class": "gthread",
    "preload_app": False,
    "graceful_timeout": GRACE,
    "timeout": GRACE + 20,
    "keepalive": 75,
    "umask": 0o117,  # of a socket: for its owner and his group
    "limit_request_line": 8190,
    "limit_request_fields": 60,
    "limit_request_field_size": 8190,
    "max_requests": 100_000,
    "max_requests_jitter": 10_000,
    "errorlog": "-",
    "loglevel": "warning",
}


def serve(settings: Settings) -> None:
    """Serve the EC2 API until SIGTERM. SiteError where gunicorn or the credential is missing."""
    sessions(settings)  # a credential that is not there is said before anything listens
    settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    journal.set_up()
    journal.events("osg_site_iaas.ec2.access")
    options = {
        "bind": settings.bind,
        "workers": settings.workers,
        "threads": settings.threads,
        "proc_name": "osg-site-iaas-ec2",
        "worker_tmp_dir": str(settings.state),
        "pidfile": str(settings.state / "pid"),
    }
    name = "AmazonEC2" if settings.server_type == "amazon" else "osg-site-iaas"
    run_server(options, lambda: Application(make_door(settings, *sessions(settings))), name)
