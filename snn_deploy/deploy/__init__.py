"""Running a converted network: backends, read-out and associative memory."""
