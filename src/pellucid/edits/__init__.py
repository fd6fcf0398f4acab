"""Edits of a network before it is trained: feature-map smoothing."""
