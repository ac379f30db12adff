"""Backend ``lava``: Lava's fixed-point CPU simulator in a guarded child process.

:class:`~snn_deploy.deploy.backends.lava.LavaBackend` is the host's side. Nothing is imported
here, because the child, whose Python may lack all but Lava, imports this package too.
"""
