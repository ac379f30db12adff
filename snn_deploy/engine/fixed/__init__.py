"""Loihi's integers: the golden model in NumPy, and the same in compiled kernels."""
