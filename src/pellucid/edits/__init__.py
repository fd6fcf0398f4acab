"""Edits of a network before it is trained: smooth activations and feature-map smoothing."""
