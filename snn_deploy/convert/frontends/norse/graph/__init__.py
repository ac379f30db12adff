"""Norse modules to a NIR graph, layer by layer."""
