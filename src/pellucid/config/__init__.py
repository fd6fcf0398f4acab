"""Choices as plain data and back: dataclasses as YAML and the command line say them, objects by their import path.

Imports no torch, and calls nothing that a file names before it is known to be of the declared kind and of a package
that the user trusts.
"""

from pellucid.config.files import read_config, read_yaml, write_json, write_yaml
from pellucid.config.importing import import_name
from pellucid.config.objects import Text, from_config
from pellucid.config.plain import to_config
from pellucid.config.trusted import CodeOptions, ImportPath, trust

__all__ = [
    "CodeOptions",
    "ImportPath",
    "Text",
    "from_config",
    "import_name",
    "read_config",
    "read_yaml",
    "to_config",
    "trust",
    "write_json",
    "write_yaml",
]
