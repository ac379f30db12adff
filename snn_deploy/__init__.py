"""Deploy trained spiking networks to Intel's Loihi, and know what they do there.

Importing this package loads none of torch, norse, lava or faiss; each is imported where it is used.
"""

__version__ = "0.1.0"
