"""Tasks, metrics, energy accounting and reports."""
