"""The metrics of pellucid, a file per question. Imports no torch: the formulas are loaded when a metric is called."""
