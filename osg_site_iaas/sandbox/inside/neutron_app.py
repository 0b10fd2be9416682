"""Neutron's API, with its tables' relations settled before the first request can meet half of them."""

from neutron.wsgi.api import application  # noqa: F401
from sqlalchemy.orm import configure_mappers

configure_mappers()
