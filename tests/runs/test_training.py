"""Runs on the real Fashion-MNIST: files, resuming to the same bits, many processes as one."""

import csv
import os
import pickle
import signal
import time

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from pellucid import (
    SCAAT,
    AdversarialTraining,
    Data,
    Experiment,
    InputError,
    Network,
    Optimizer,
    Regular,
    SaliencyGuided,
    Schedule,
    Smoothing,
    fgsm,
    fit,
)
from pellucid.config import write_yaml
from pellucid.data import load
from pellucid.runs.engine import Interrupted
from pellucid.runs.settings import read_experiment
from pellucid.runs.trained import load_network

SMALL = Data(limit=512, validation=5000)
FAST = SCAAT(attack=fgsm(eps=0.2), warmup=0.2)


def experiment(**changes):
    settings = {"dataset": SMALL, "method": FAST, "epochs": 2, "batch_size": 64}
    return Experiment(**(settings | changes))


def rows(run):
    with (run / "train.csv").open() as file:
        return list(csv.DictReader(file))


def same_bits(one, two):
    a, b = load_file(one / "model.safetensors"), load_file(two / "model.safetensors")
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return fit(experiment(), tmp_path_factory.mktemp("runs") / "finished")


def test_run_directory(finished):
    files = {file.name for file in finished.iterdir()}
    assert files == {
        "experiment.yaml",
        "environment.json",
        "data.json",
        "model.safetensors",
        "state.pt",
        "train.csv",
        "q.parquet",
        "extremes.safetensors",
        "digests.json",
        ".lock",
    }
    log = rows(finished)
    assert [row["epoch"] for row in log] == ["0", "1"]
    assert [row["step"] for row in log] == ["8", "16"]
    assert float(log[1]["loss"]) < float(log[0]["loss"])
    assert {"seconds", "clean_accuracy", "validation_accuracy", "validation_loss", "lr", "q"} <= log[0].keys()


def test_q_of_every_sample_by_epoch(finished):
    q = pq.read_table(finished / "q.parquet").to_pydict()
    assert q["epoch"] == [0] * 512 + [1] * 512
    assert q["index"] == [*range(512)] * 2
    # Each sample met one update an epoch; the first 3 of 16 steps were warm-up.
    assert {round(value, 2) for value in q["q"][:512]} <= {0.45, 0.5, 0.55}
    assert sum(round(value, 2) != 0.5 for value in q["q"][:512]) == 512 - 3 * 64


def test_images_with_the_smallest_and_the_largest_q_are_kept(finished):
    kept = load_file(finished / "extremes.safetensors")
    table = pq.read_table(finished / "q.parquet")
    q = torch.tensor(table["q"].to_numpy()[table["epoch"].to_numpy() == 1])
    assert len(kept["q"]) == 16
    assert torch.equal(kept["q"], q[kept["index"]])
    others = torch.ones(len(q), dtype=torch.bool)
    others[kept["index"]] = False
    assert kept["q"][:8].max() <= q[others].min() and q[others].max() <= kept["q"][8:].min()
    train = load(SMALL, "train")
    assert torch.equal(kept["images"], train.take(kept["index"]))
    assert torch.equal(kept["label"], train.labels[kept["index"]])


def test_snapshots_of_the_same_images_and_the_same_bits_without_them(finished, tmp_path):
    run = fit(experiment(), tmp_path / "run", snapshots=1)
    kept = load_file(run / "snapshots.safetensors")
    assert kept["epoch"].tolist() == [0, 1]
    assert kept["images"].shape == (4, 1, 28, 28) and kept["heatmap"].shape == (2, 4, 28, 28)
    assert len(set(kept["label"].tolist())) == 4
    assert not torch.equal(kept["heatmap"][0], kept["heatmap"][1])
    validation = load(SMALL, "validation")
    network = load_network(run, validation)
    x = (kept["images"].float() / 255).requires_grad_()
    logits = network(x)
    assert torch.equal(kept["prediction"][1], logits.argmax(1))
    (gradient,) = torch.autograd.grad(logits.gather(1, kept["prediction"][1][:, None]).sum(), x)
    torch.testing.assert_close(kept["heatmap"][1], gradient.abs().mean(1))
    assert same_bits(run, finished)


def test_snapshots_of_a_run_that_is_begun_again_are_replaced(tmp_path):
    first = fit(experiment(method=Regular()), tmp_path / "first", snapshots=1)
    again = tmp_path / "again"
    again.mkdir()
    (again / "snapshots.safetensors").write_bytes((first / "snapshots.safetensors").read_bytes())
    fit(experiment(method=Regular()), again, snapshots=2)
    assert load_file(again / "snapshots.safetensors")["epoch"].tolist() == [0, 1]
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "snapshots.safetensors").write_bytes(b"no tensors")
    with pytest.raises(InputError, match="snapshots.safetensors cannot be continued"):
        fit(experiment(method=Regular()), damaged, snapshots=2)


def test_a_csv_log_says_what_the_runs_own_says(finished, tmp_path):
    run = fit(experiment(), tmp_path / "run", log="csv")
    assert same_bits(run, finished)
    with (run / "log" / "version_0" / "metrics.csv").open() as file:
        logged = list(csv.DictReader(file))
    for ours, theirs in zip(rows(run), logged, strict=True):
        assert theirs["step"] == ours["step"]
        assert all(float(theirs[name]) == float(ours[name]) for name in ("loss", "q", "validation_accuracy", "lr"))


def test_a_tensorboard_log_is_written_beside_the_run(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = fit(experiment(method=Regular()), tmp_path / "run", log="tensorboard")
    log = EventAccumulator(str(run / "log" / "version_0"))
    log.Reload()
    assert [(event.step, event.value) for event in log.Scalars("validation_accuracy")] == [
        (int(row["step"]), pytest.approx(float(row["validation_accuracy"]))) for row in rows(run)
    ]


def test_unknown_logs_and_missing_packages(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="log must be one of tensorboard, csv, wandb, got 'paper'"):
        fit(experiment(), tmp_path / "run", log="paper")
    monkeypatch.setattr("lightning_fabric.loggers.tensorboard._TENSORBOARD_AVAILABLE", False)
    monkeypatch.setattr("lightning_fabric.loggers.tensorboard._TENSORBOARDX_AVAILABLE", False)
    with pytest.raises(InputError, match=r"log 'tensorboard' needs .*; pip install 'pellucid\[tensorboard\]'"):
        fit(experiment(), tmp_path / "run", log="tensorboard")
    with pytest.raises(
        InputError, match="snapshots must be the number of epochs between two of them, or 0 for none, got -1"
    ):
        fit(experiment(), tmp_path / "run", snapshots=-1)
    assert not (tmp_path / "run").exists()


def test_finished_runs_are_left_and_others_refused(finished):
    before = {file.name: file.stat().st_mtime_ns for file in finished.iterdir()}
    fit(experiment(), finished, resume=True)
    fit(experiment(dataset=Data(limit=512)), finished, resume=True)  # 5000 is what None means for a known set
    assert before == {file.name: file.stat().st_mtime_ns for file in finished.iterdir()}
    with pytest.raises(InputError, match="holds a run already; continue it with --resume"):
        fit(experiment(), finished)
    with pytest.raises(InputError, match="was begun with another batch_size: 64 there, 32 asked for"):
        fit(experiment(batch_size=32), finished, resume=True)


def test_seed_decides_everything(finished, tmp_path):
    state = torch.get_rng_state()
    assert same_bits(fit(experiment(), tmp_path / "again"), finished)
    assert not same_bits(fit(experiment(seed=1), tmp_path / "other"), finished)
    assert torch.equal(state, torch.get_rng_state())


def test_load_network(finished, tmp_path):
    dataset = load(SMALL, "test")
    network = load_network(finished, dataset)
    assert not network.training
    assert network(torch.rand(2, 1, 28, 28)).shape == (2, 10)
    write_yaml(experiment(network=Network(name="sgt-mnist")), tmp_path / "experiment.yaml")
    (tmp_path / "model.safetensors").write_bytes((finished / "model.safetensors").read_bytes())
    with pytest.raises(InputError, match="does not fit the network"):
        load_network(tmp_path, dataset)
    (tmp_path / "model.safetensors").write_bytes((finished / "model.safetensors").read_bytes()[:1000])
    with pytest.raises(InputError, match="cannot be read, it may be truncated"):
        load_network(tmp_path, dataset)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(InputError, match="its training is not finished"):
        load_network(tmp_path, dataset)


def test_smoothing_round_trips(tmp_path):
    run = fit(
        experiment(epochs=1, smoothing=Smoothing(layers=("pool?",)), method=AdversarialTraining(attack=fgsm(eps=0.1))),
        tmp_path / "smooth",
    )
    assert load_network(run, load(SMALL, "test"))(torch.rand(1, 1, 28, 28)).shape == (1, 10)
    assert not (run / "q.parquet").exists()


def test_a_loss_that_is_not_finite_stops_and_keeps_what_was_there(tmp_path):
    steep = experiment(optimizer=Optimizer(name="sgd", lr=1e18), method=AdversarialTraining())
    with pytest.raises(InputError, match=r"the loss became (nan|inf|\S+e\+\d+) in epoch 1 .* lower optimizer.lr"):
        fit(steep, tmp_path / "run")
    assert not (tmp_path / "run" / "state.pt").exists()
    fit(experiment(epochs=1), tmp_path / "run")  # without a checkpoint the folder is free for other settings
    assert read_experiment(tmp_path / "run") == experiment(epochs=1)


def test_places_that_cannot_hold_a_run(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file; give a folder"):
        fit(experiment(), tmp_path / "file")
    with pytest.raises(InputError, match="is not a run, as it holds 'file'; give a new or empty folder"):
        fit(experiment(), tmp_path)


def test_a_damaged_checkpoint_is_refused(finished, tmp_path):
    write_yaml(experiment(), tmp_path / "experiment.yaml")
    (tmp_path / "state.pt").write_bytes((finished / "state.pt").read_bytes()[:5000])
    with pytest.raises(InputError, match="state.pt is not a checkpoint of this experiment"):
        fit(experiment(), tmp_path, resume=True)


def test_unknown_engines():
    with pytest.raises(InputError, match="strategy must be one of auto, ddp, ddp_spawn, ddp_fork, got 'fsdp'"):
        fit(experiment(), "nowhere", strategy="fsdp")
    with pytest.raises(InputError, match="accelerator must be one of auto, cpu, cuda, gpu, mps, got 'tpus'"):
        fit(experiment(), "nowhere", accelerator="tpus")
    with pytest.raises(InputError, match="devices must be at least 1, got 0"):
        fit(experiment(), "nowhere", accelerator="cpu", devices=0)
    with pytest.raises(InputError, match="devices must be at most .*, 4 processes for each core, got 9999"):
        fit(experiment(), "nowhere", accelerator="cpu", devices=9999)
    with pytest.raises(InputError, match="precision 16-mixed is not possible on a cpu; give bf16-mixed or 32-true"):
        fit(experiment(precision="16-mixed"), "nowhere", accelerator="cpu")
    if not torch.accelerator.is_available():
        with pytest.raises(InputError, match="accelerator 'cuda' is not available; this machine has only a cpu"):
            fit(experiment(), "nowhere", accelerator="cuda")


def test_a_checkpoint_of_another_network_is_refused(finished, tmp_path):
    write_yaml(experiment(network=Network(name="sgt-mnist")), tmp_path / "experiment.yaml")
    (tmp_path / "state.pt").write_bytes((finished / "state.pt").read_bytes())
    with pytest.raises(InputError, match="state.pt is not a checkpoint of this experiment"):
        fit(experiment(network=Network(name="sgt-mnist")), tmp_path, resume=True)


def test_weights_that_are_not_finite_are_no_finished_run(tmp_path):
    """The loss of the only step is finite; what the step leaves is not."""
    steep = Optimizer(name="sgd", lr=1e38)
    schedule = Schedule(name="constant")
    one_step = experiment(dataset=Data(limit=64), epochs=1, optimizer=steep, schedule=schedule, method=Regular())
    with pytest.raises(InputError, match="(validation loss|sum of weights) became (nan|-?inf|\\S+e\\+\\d+)"):
        fit(one_step, tmp_path / "run")
    assert not (tmp_path / "run" / "model.safetensors").exists() and not (tmp_path / "run" / "state.pt").exists()


NETWORKS = """
from torch import nn

class Tied(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.a = nn.Linear(784, 784)
        self.b = self.a
        self.head = nn.Linear(784, num_classes)

    def forward(self, x):
        return self.head(self.b(self.a(x.flatten(1)).relu()).relu())

class Frozen(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.norm = nn.BatchNorm2d(1).eval()
        self.head = nn.Linear(784, num_classes)

    def forward(self, x):
        return self.head(self.norm(x).flatten(1))
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "networks_of_a_user.py").write_text(NETWORKS)
    monkeypatch.syspath_prepend(tmp_path)


def test_tied_weights_are_saved_and_loaded(own, tmp_path):
    run = fit(experiment(epochs=1, network=Network(name="networks_of_a_user:Tied")), tmp_path / "run")
    network = load_network(run, load(SMALL, "test"))
    assert torch.equal(network.get_submodule("network.a").weight, network.get_submodule("network.b").weight)


def test_frozen_layers_stay_frozen(own, tmp_path):
    run = fit(experiment(epochs=2, network=Network(name="networks_of_a_user:Frozen")), tmp_path / "run")
    weights = load_file(run / "model.safetensors")
    assert weights["network.norm.num_batches_tracked"] == 0
    assert torch.equal(weights["network.norm.running_mean"], torch.zeros(1))


def test_the_file_of_the_first_weights_is_not_needed_again(finished, tmp_path):
    (tmp_path / "first.safetensors").write_bytes((finished / "model.safetensors").read_bytes())
    start = Network(name="lenet5", weights=str(tmp_path / "first.safetensors"))
    run = fit(experiment(epochs=1, network=start), tmp_path / "run")
    (tmp_path / "first.safetensors").unlink()
    assert load_network(run, load(SMALL, "test"))(torch.rand(1, 1, 28, 28)).shape == (1, 10)


@pytest.mark.parametrize("change", [{"precision": "bf16-mixed"}, {"channels_last": True}])
def test_precision_and_memory_format(tmp_path, change):
    for name, method in {"scaat": FAST, "sgt": SaliencyGuided(target="predicted")}.items():
        run = fit(experiment(method=method, epochs=1, dataset=Data(limit=128), **change), tmp_path / name)
        weights = load_file(run / "model.safetensors")
        assert all(value.dtype == torch.float32 for value in weights.values())
        assert float(rows(run)[0]["loss"]) < 3


@pytest.mark.slow
def test_interrupted_copies_of_a_process_stop_together_and_resume(train, tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    two = ["--devices=2", "--strategy=ddp"]
    finish(train(whole, *LONG, *two))
    finish(kill_in_epoch(train, cut, signal.SIGTERM, 1, *two), 143)
    assert torch.load(cut / "state.pt", weights_only=True)["batch"] % 10 == 0, "both stopped at the same step"
    finish(train(cut, "--resume", *two))
    assert same_bits(whole, cut)
    assert pq.read_table(whole / "q.parquet").equals(pq.read_table(cut / "q.parquet"))
    for ours, theirs in zip(rows(whole), rows(cut), strict=True):
        assert float(ours["loss"]) == pytest.approx(float(theirs["loss"]), rel=1e-6)


LONG = [
    *["--dataset.limit=2048", "--dataset.validation=64", "--batch_size=32", "--epochs=3"],
    *["--method=SCAAT", "--method.attack.eps=0.2", "--method.attack.step_size=0.2", "--method.attack.steps=1"],
]


@pytest.fixture
def train(pellucid_process):
    """Starts a training in a process of its own."""
    return lambda run, *flags, **how: pellucid_process("train", run, "--accelerator=cpu", *flags, **how)


def finish(process, code=0):
    out, err = process.communicate(timeout=240)
    assert process.returncode == code, err
    return out, err


def kill_in_epoch(train, run, number, epoch, *flags):
    """Start the run, wait until ``epoch`` epochs are in the log and a little longer, and send the signal."""
    process = train(run, *LONG, "--resume", *flags)
    deadline = time.monotonic() + 120
    while not (run / "train.csv").exists() or len(rows(run)) < epoch:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    while not (run / "state.pt").exists() or (run / "state.pt").stat().st_mtime < (run / "train.csv").stat().st_mtime:
        time.sleep(0.01)  # the epoch's checkpoint follows its row in the log
    time.sleep(0.1)  # well inside the next epoch of 64 steps
    process.send_signal(number)
    return process


def test_interrupted_and_resumed_runs_end_with_the_same_bits(train, tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    finish(train(whole, *LONG))
    _, err = finish(kill_in_epoch(train, cut, signal.SIGTERM, 1), 143)
    assert "stopped by SIGTERM; what was finished is kept, and --resume continues" in err
    assert torch.load(cut / "state.pt", weights_only=True)["batch"] > 0, "the checkpoint lies within an epoch"
    assert not (cut / "model.safetensors").exists()
    finish(kill_in_epoch(train, cut, signal.SIGKILL, 2), -signal.SIGKILL)
    assert not (cut / "model.safetensors").exists()
    finish(train(cut, "--resume"))
    assert same_bits(whole, cut)
    assert pq.read_table(whole / "q.parquet").equals(pq.read_table(cut / "q.parquet"))
    strip = lambda log: [{k: v for k, v in row.items() if k != "seconds"} for row in log]
    assert strip(rows(whole)) == strip(rows(cut))
    assert [file.name for file in cut.glob(".*")] == [".lock"], "what the killed process half wrote is gone"


def test_another_process_can_be_told_of_an_interruption() -> None:
    told = pickle.loads(pickle.dumps(Interrupted("SIGTERM")))
    assert isinstance(told, Interrupted) and (told.name, told.code) == ("SIGTERM", 143)
    assert str(told) == "stopped by SIGTERM; continue with --resume"


@pytest.mark.parametrize("strategy", ["ddp", pytest.param("ddp_spawn", marks=pytest.mark.slow)])
def test_two_processes_are_one(train, finished, tmp_path, strategy):
    """LeNet-5 has no BatchNorm, so two processes with half of each batch do what one does with all of it."""
    write_yaml(experiment(), tmp_path / "settings.yaml")
    run = tmp_path / "two"
    out, _ = finish(train(run, f"--config={tmp_path / 'settings.yaml'}", "--devices=2", f"--strategy={strategy}"))
    assert out.split() == [str(run)]
    one, two = load_file(finished / "model.safetensors"), load_file(run / "model.safetensors")
    for key, value in one.items():
        torch.testing.assert_close(two[key], value, rtol=1e-4, atol=1e-5)
    assert pq.read_table(finished / "q.parquet").equals(pq.read_table(run / "q.parquet"))
    for ours, theirs in zip(rows(finished), rows(run), strict=True):
        assert float(ours["loss"]) == pytest.approx(float(theirs["loss"]), rel=1e-4)


def test_no_permission_is_one_sentence(train, tmp_path):
    if os.geteuid() == 0:
        place = "/proc/run"  # even root writes nothing there
    else:
        (tmp_path / "locked").mkdir(mode=0o500)
        place = tmp_path / "locked" / "run"
    _, err = finish(train(place, *LONG), 2)
    assert err.startswith("pellucid: ") and err.count("\n") == 1 and "Traceback" not in err


def test_a_full_disk_is_one_sentence_and_loses_nothing(train, tmp_path):
    """A file size limit stands for the full disk: the write fails in the middle, as on one."""
    finish(train(tmp_path / "run", "--dataset.limit=64", "--epochs=1", "--batch_size=64"))
    kept = (tmp_path / "run" / "state.pt").read_bytes()
    (tmp_path / "run" / "model.safetensors").unlink()
    _, err = finish(train(tmp_path / "run", "--resume", largest_file=20_000), 2)
    assert "nothing was half-written" in err and "Traceback" not in err
    assert (tmp_path / "run" / "state.pt").read_bytes() == kept
    assert [file.name for file in (tmp_path / "run").glob(".*")] == [".lock"]
    assert not (tmp_path / "run" / "model.safetensors").exists()
