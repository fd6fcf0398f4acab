"""Numbers of every training image by epoch, such as q of SCAAT: written by training, read by the report, without torch.

A Parquet file named after the number holds the columns ``epoch``, ``index`` and the number itself.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pellucid.core.files import whole_file

__all__ = ["append_epoch", "by_epoch"]


def append_epoch(file: Path, epoch: int, values: npt.NDArray[np.float32]) -> None:
    """Write an epoch's numbers behind those of earlier epochs.

    Rows of this epoch and of later ones, which a killed process may have left, are dropped.

    Args:
        file: the file so far, which need not exist; its stem is the number's name.
        epoch: whose numbers they are, from 0.
        values: (num_samples,) one number for each training image.
    """
    kept = []
    if file.exists():
        table = pq.read_table(file)
        kept = [table.filter(pa.compute.less(table["epoch"], epoch))]
    columns = {
        "epoch": pa.array([epoch] * len(values), pa.int32()),
        "index": pa.array(range(len(values)), pa.int32()),
        file.stem: pa.array(values, pa.float32()),
    }
    with whole_file(file) as temporary:
        pq.write_table(pa.concat_tables([*kept, pa.table(columns)]), temporary)


def by_epoch(table: pa.Table, name: str) -> dict[int, npt.NDArray[np.float64]] | None:
    """The numbers of every image by epoch, NaN where they are no finite number; None for another kind of table.

    >>> table = pa.table({"epoch": [0, 0, 1, 1], "index": [0, 1, 0, 1], "q": [0.5, 0.5, 0.25, 0.75]})
    >>> by_epoch(table, "q")[1].tolist()
    [0.25, 0.75]
    """
    if table.column_names != ["epoch", "index", name]:
        return None
    epoch, values = table["epoch"].to_numpy(), table[name].to_numpy().astype(np.float64)
    values = np.where(np.isfinite(values), values, np.nan)
    return {int(number): values[epoch == number] for number in np.unique(epoch)}
