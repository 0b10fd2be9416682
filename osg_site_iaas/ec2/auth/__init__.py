"""Who signed a request: signatures 4 and 2, and Keystone's EC2 credentials."""
