"""A real OpenStack on this machine, in one Python environment: demo, rehearsal room and test bed."""

from osg_site_iaas.sandbox.access import Mark, Request
from osg_site_iaas.sandbox.sandbox import Sandbox
from osg_site_iaas.sandbox.settings import Wishes
from osg_site_iaas.sandbox.status import ServiceStatus, Status

__all__ = ["Mark", "Request", "Sandbox", "ServiceStatus", "Status", "Wishes"]
