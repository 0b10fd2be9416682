"""Watching over a site that runs: doctor, status page, who had an address. Reads from the others, prints nothing."""
