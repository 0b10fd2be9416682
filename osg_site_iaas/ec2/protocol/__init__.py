"""EC2's query protocol, both ways, driven by botocore's service model."""
