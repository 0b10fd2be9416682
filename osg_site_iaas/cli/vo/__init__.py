"""The command ``osg-iaas``: what a member or a pilot of a VO uses."""
