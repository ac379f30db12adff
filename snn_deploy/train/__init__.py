"""Training in Norse: spike coding, encoders, losses, loop and checkpoints. The only room with torch."""
