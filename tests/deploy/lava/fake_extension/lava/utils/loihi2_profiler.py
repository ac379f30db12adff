"""Stands in for the module by which Lava recognises its Loihi extension."""
