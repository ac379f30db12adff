"""Hardware profiles: the limits and costs of each chip, with units and sources."""
