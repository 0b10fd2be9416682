"""As serve.py, for applications that were made in another place then."""

import os
import sys
from pathlib import Path

# What all releases share goes before what is here.
sys.path.insert(0, str(Path(__file__).parents[1]))

from oslo_log import log
from sqlalchemy import event
from sqlalchemy.engine import Engine

import serve

# A library that merely imports eventlet makes oslo.log lock as green threads do, which stops real ones for good.
log._fix_eventlet_logging = lambda: None


@event.listens_for(Engine, "do_connect")
def _any_thread(dialect, _record, _positional, options):
    """As SQLAlchemy does by itself since 2.0: a connection may be closed, or used again, by another thread."""
    if dialect.name == "sqlite":
        options["check_same_thread"] = False


def keystone():
    from keystone.server import wsgi

    import keystone_seed
    import sqlite_tuning

    sqlite_tuning.foreign_keys = True
    app = wsgi.initialize_public_application()
    keystone_seed.seed(os.environ["SANDBOX_SEED"])
    return app


def glance():
    from glance.common import wsgi_app

    # Its paste file is one of the names here, and ours is where glance-api.conf says.
    wsgi_app.CONFIG_FILES = ["glance-api.conf"]
    return wsgi_app.init_app()


def placement():
    from placement import wsgi

    return wsgi.init_application()


def neutron():
    from neutron import server
    from neutron.server import api_eventlet  # but with threads: eventlet patches nothing here
    from sqlalchemy.orm import configure_mappers

    app = server.boot_server(api_eventlet.eventlet_api_server)
    configure_mappers()
    return app


NOW = {
    "keystone_app:application": keystone,
    "glance.wsgi.api:application": glance,
    "placement.wsgi.api:application": placement,
    "neutron_app:application": neutron,
}
_load = serve.load
serve.load = lambda name: NOW[name]() if name in NOW else _load(name)
serve.main()
