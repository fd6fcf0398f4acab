"""Every image of a split is predicted once, as the network predicts it."""

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load as tensors_of, save_file

from pellucid import Data, Experiment, Network, fit
from pellucid.core.errors import InputError
from pellucid.data import load
from pellucid.runs.predictions import predict
from pellucid.runs.trained import load_network


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A network of 64 images, with 32 for validation."""
    experiment = Experiment(
        dataset=Data(name="fashion-mnist", limit=64, validation=32),
        network=Network(name="lenet5"),
        epochs=1,
        batch_size=32,
    )
    return fit(experiment, tmp_path_factory.mktemp("runs") / "small", progress=False)


def test_predictions_are_the_network_s(run) -> None:
    table = pq.read_table(predict(run, "validation", batch_size=10))
    dataset = load(Data(name="fashion-mnist", limit=64, validation=32), "validation")
    model = load_network(run, dataset).eval()
    with torch.no_grad():
        probability = model(dataset.take(range(32)).float() / 255).softmax(1)
    assert table["index"].to_pylist() == list(range(32))
    assert table["label"].to_pylist() == dataset.labels.tolist()
    assert table["prediction"].to_pylist() == probability.argmax(1).tolist()
    assert table["confidence"].to_pylist() == pytest.approx(probability.amax(1).tolist(), abs=1e-6)


def test_what_is_there_is_left_until_the_weights_change(run, tmp_path) -> None:
    file = predict(run, "validation")
    before = file.stat().st_mtime_ns
    assert predict(run, "validation").stat().st_mtime_ns == before
    weights = (run / "model.safetensors").read_bytes()
    (run / "model.safetensors").write_bytes(weights[:-4] + b"\0\0\0\0")
    with pytest.raises(InputError, match="model.safetensors is damaged or was changed: its SHA-256 is"):
        predict(run, "validation")
    save_file({name: value / 2 for name, value in tensors_of(weights).items()}, run / "model.safetensors")
    assert predict(run, "validation").stat().st_mtime_ns > before
    (run / "model.safetensors").write_bytes(weights)


@pytest.mark.parametrize("left", [b"", b"no parquet file"])
def test_a_broken_file_is_written_again(run, left) -> None:
    file = predict(run, "validation")
    whole = pq.read_table(file).to_pydict()
    file.write_bytes(left)
    again = pq.read_table(predict(run, "validation")).to_pydict()
    confidence = whole.pop("confidence")  # rounded otherwise where another test has made the file in other batches
    assert again.pop("confidence") == pytest.approx(confidence, abs=1e-6)
    assert again == whole


def test_all_test_images_are_predicted(run) -> None:
    assert pq.read_table(predict(run)).num_rows == 10_000


def test_a_split_without_images_is_refused(tmp_path) -> None:
    experiment = Experiment(
        dataset=Data(name="fashion-mnist", limit=64, validation=0),
        network=Network(name="lenet5"),
        epochs=1,
        batch_size=32,
    )
    with pytest.raises(InputError, match="has no validation images"):
        predict(fit(experiment, tmp_path / "run", progress=False), "validation")


def test_predictions_of_other_images_are_made_again(users, tmp_path):
    data = Data(name="things_of_a_user:make", validation=6, channels=1, augmentation="none", workers=0)
    run = fit(Experiment(dataset=data, epochs=1, batch_size=18), tmp_path / "run", progress=False)
    first = predict(run).stat().st_mtime_ns
    assert predict(run).stat().st_mtime_ns == first
    users.SEED = 1
    assert predict(run).stat().st_mtime_ns > first
