"""Associative memory: FAISS for the first hop, Hebbian association for the chain."""
