"""What earlier evaluations of a run have measured, kept when another one takes its place. Imports no torch."""

import shutil
from pathlib import Path

from pellucid.core.files import whole_folder
from pellucid.runs.digests import digest_of
from pellucid.runs.directory import RunDirectory

__all__ = ["keep_earlier"]


def keep_earlier(run: RunDirectory) -> Path:
    """Copy the rows, the maps and the settings of a finished evaluation into a folder of their own.

    Args:
        run: a run directory with rows. Nothing else may work on it.

    Returns:
        The folder, named by the digest of the rows: what was kept before is not copied again.
    """
    folder = run.earlier / digest_of(run.rows)[:12]
    if not folder.exists():
        with whole_folder(folder) as copied:
            for file in (run.rows, run.maps, run.evaluation):
                if file.exists():
                    shutil.copyfile(file, copied / file.name)
    return folder
