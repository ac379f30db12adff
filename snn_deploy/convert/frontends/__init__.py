"""One front end a source format; each yields a NIR graph."""
