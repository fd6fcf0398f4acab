"""The human study: from run directories to a served, analysed experiment. Imports no torch."""
