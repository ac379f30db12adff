"""Measurements of the toolkit itself, which are no tasks."""
