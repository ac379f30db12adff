"""The compiled kernels: C source, and the shared object that the build makes of it where it can.

:func:`library` loads it; :mod:`snn_deploy.engine.fixed.compiled_kernel` speaks to it.
"""
