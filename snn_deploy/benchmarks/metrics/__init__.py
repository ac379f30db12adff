"""Metrics with their intervals; every number knows its n."""
