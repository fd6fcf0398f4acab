from .formats import render as render
from .glossary import describe as describe
from .page import Conclusion as Conclusion, write_report as write_report
from .picture import write_picture as write_picture
from .runs import Run as Run, read_run as read_run, read_runs as read_runs
from .subgroups import compare_by as compare_by, measures_by as measures_by
from .table import compare as compare, definitions as definitions, summarise as summarise
