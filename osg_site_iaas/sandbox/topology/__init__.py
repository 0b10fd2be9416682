"""Small documents in the form of OSG Topology and of vo-client, for the demo and the tests."""
