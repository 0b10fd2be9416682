"""A first site.yml from what OSG already knows: Topology's two documents and vo-client's two lists.

Everything here works on bytes and text that somebody else has read; ``osg-site-iaas init`` reads and writes.
"""
