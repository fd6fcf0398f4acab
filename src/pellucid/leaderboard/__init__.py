"""One table a dataset: every method beside its controls, measured where the truth is known as far as it is."""
