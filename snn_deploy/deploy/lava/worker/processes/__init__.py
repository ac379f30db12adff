"""Our own Lava processes, alone here: Lava executes every file beside a custom process."""
