"""What runs a network on this machine: float64, and Loihi's integers bit for bit. It knows no files."""
