"""Who may be whom: one ordered table, made from site.yml, that every door and every report asks."""
