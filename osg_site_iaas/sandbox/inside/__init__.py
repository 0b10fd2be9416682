"""Programs that run in the services' own Python, never in the package's; this folder is on their path."""
