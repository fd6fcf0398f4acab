"""``python -m pellucid``."""

import sys

from pellucid.cli import main

if __name__ == "__main__":
    sys.argv[0] = "pellucid"  # as a run's environment.json records the command
    sys.exit(main())
