"""Grid credentials: what an X.509 proxy or a token proves, and how OpenStack's Keystone is told."""
