"""A run: its settings, its training, its checkpoint, its evaluation, and the directory that holds them."""
