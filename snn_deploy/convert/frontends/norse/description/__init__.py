"""The description of a Norse model in a checkpoint: written, read, and built into modules again."""
