"""Who had which address when: looked at every few minutes, since OpenStack forgets it with the server."""
