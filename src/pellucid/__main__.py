"""``python -m pellucid``."""

import os
import sys

if not sys.flags.safe_path and os.path.abspath(sys.path[0]) == os.getcwd():
    del sys.path[0]  # `-m` puts the current folder first, where any file could take the place of a package

from pellucid.cli import main

if __name__ == "__main__":
    sys.argv[0] = "pellucid"  # as a run's environment.json records the command
    sys.exit(main())
