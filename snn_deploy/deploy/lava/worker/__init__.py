"""Runs in the child: builds the process graph and steps it. Needs Lava, NumPy and SciPy, nothing else."""
