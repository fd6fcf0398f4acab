"""What a table tells of images reaches the rows of an evaluation."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pellucid import Data, Evaluation, Experiment, InputError, Network, evaluate, fit
from pellucid.data import load
from pellucid.runs.evaluated import read_run
from pellucid.runs.trained import open_run


def test_columns_of_a_table_are_subgroups_of_the_rows(tmp_path):
    random = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    rows = ["file,label,camera,site"]
    for i in range(40):
        Image.fromarray(random.integers(0, 256, (28, 28), dtype=np.uint8)).save(tmp_path / "photos" / f"{i}.png")
        rows.append(f"{i}.png,{'ab'[i % 2]},{'old' if i % 3 else 'new'},")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    dataset = Data(
        name="folder", path=str(tmp_path / "photos"), table=str(tmp_path / "labels.csv"), channels=1, workers=0
    )
    experiment = Experiment(dataset=dataset, network=Network(name="lenet5"), epochs=1, batch_size=8)
    run = fit(experiment, tmp_path / "run", progress=False)
    evaluate(run, Evaluation(images=5, metrics=("clean_accuracy",), saliency=("vanilla_gradient",)), progress=False)
    table, test = pq.read_table(run / "rows.parquet"), load(dataset, "test")
    index = table["index"].to_pylist()
    assert len(index) == 5 < len(test)
    assert table["subgroup camera"].to_pylist() == [test.columns["camera"][i] for i in index]
    assert table.schema.field("subgroup site").type == pa.string()
    Image.fromarray(random.integers(0, 256, (28, 28), dtype=np.uint8)).save(tmp_path / "photos" / "more.png")
    (tmp_path / "labels.csv").write_text("\n".join([*rows, "more.png,a,old,"]))
    with pytest.raises(InputError, match="the images of photos have changed since .* may be among those it has learnt"):
        open_run(run)
    read = read_run(run)
    assert not any(name.startswith("subgroup") for name in read.columns)
    assert [name for name in read.rows.column_names if name.startswith("subgroup")] == [
        *("subgroup camera", "subgroup site"),
    ]
