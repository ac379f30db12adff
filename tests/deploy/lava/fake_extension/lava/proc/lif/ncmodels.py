"""Stands in for the module of the hardware models; it has none."""
