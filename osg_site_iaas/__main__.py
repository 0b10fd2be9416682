"""``python -m osg_site_iaas`` is the command ``osg-site-iaas``."""

import sys

from osg_site_iaas.cli.main import main

sys.exit(main())
