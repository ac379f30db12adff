"""Float peers of ``bench speed``, one module a peer.

Each module is run as ``python -m`` in a process of its own: one JSON object on standard input
(:class:`snn_deploy.benchmarks.studies.speed.peers._workload.Spec`), one on standard output. To add a peer,
add a module; where its packages are not installed it ends with an ImportError, which the report quotes. The
peers' neurons are floats and are not exact to Loihi; their layers fire at the rates of our integer network,
by weights that are scaled until they do.
"""
