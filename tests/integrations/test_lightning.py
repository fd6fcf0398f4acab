"""Lightning's Trainer trains as `pellucid.fit` does, and its checkpoint holds what training changes."""

import copy
import json
import subprocess
import sys

import lightning
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from pellucid import (
    PGD,
    SCAAT,
    AdversarialTraining,
    Data,
    Experiment,
    FineTuning,
    Network,
    Objective,
    Optimizer,
    Regular,
    SaliencyGuided,
    Schedule,
    SmoothGrad,
    fgsm,
    fit,
)
from pellucid.core import randomness
from pellucid.core.errors import InputError
from pellucid.data import Loader, load
from pellucid.integrations.lightning import Indexed, LightningObjective, _batch
from pellucid.runs.training import build_network

pytestmark = [
    pytest.mark.filterwarnings("ignore::lightning.fabric.utilities.warnings.PossibleUserWarning"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    # Lightning 2.6 on torch 2.13.
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*:FutureWarning"),
]

FAST = SCAAT(attack=fgsm(eps=0.2), warmup=0.2)
METHODS = [
    Regular(),
    AdversarialTraining(attack=fgsm(eps=0.1), clean="probability"),
    SaliencyGuided(attack=fgsm(eps=0.1), reading="B"),
    SCAAT(attack=PGD(eps=0.1, step_size=0.05, steps=2), saliency=SmoothGrad(samples=2), warmup=0.0),
]


class Epochs:
    """Batches of pellucid's own loader, in the order of the Trainer's epoch."""

    def __init__(self, loader, engine):
        self.loader, self.engine = loader, engine

    def __len__(self):
        return len(self.loader)

    def __iter__(self):
        return self.loader.epoch(self.engine.current_epoch)


def trainer(folder, **settings):
    settings = {"logger": False, "enable_checkpointing": False, **settings}
    return lightning.Trainer(
        default_root_dir=folder, accelerator="cpu", enable_progress_bar=False, enable_model_summary=False, **settings
    )


def network():
    with randomness.fork(0):
        return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))


def dataset(n=24):
    draws = torch.Generator().manual_seed(0)
    return TensorDataset(torch.rand(n, 1, 8, 8, generator=draws), torch.randint(3, (n,), generator=draws))


def loader(n=24):
    return DataLoader(Indexed(dataset(n)), batch_size=8)


def test_two_epochs_are_those_of_fit(tmp_path):
    experiment = Experiment(
        dataset=Data(limit=256, validation=200),
        network=Network(name="lenet5"),
        method=FAST,
        optimizer=Optimizer(lr=1e-3),
        epochs=2,
        batch_size=32,
    )
    run = fit(experiment, tmp_path / "run", accelerator="cpu", progress=False)

    train, validation = load(experiment.dataset, "train"), load(experiment.dataset, "validation")
    batches = Loader(train, batch_size=32, shuffle=True, seed=0, drop_last=True)
    objective = Objective(build_network(experiment, train), FAST, len(train), 2 * len(batches))
    module = LightningObjective(objective, optimizer=experiment.optimizer, schedule=experiment.schedule)
    checked = Loader(validation, batch_size=100, shuffle=False, seed=0, drop_last=False)
    engine = trainer(tmp_path, max_epochs=2)
    engine.fit(module, Epochs(batches, engine), Epochs(checked, engine))

    expected = load_file(run / "model.safetensors")
    found = objective.model.state_dict()
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5)
    state = torch.load(run / "state.pt", weights_only=True)
    torch.testing.assert_close(objective.state.q, state["objective"]["state.q"])
    assert objective.step == state["objective"]["_extra_state"]["step"] == engine.global_step == 16
    last = state["rows"][-1]
    for name in ("loss", "clean_accuracy", "divergence", "q", "validation_accuracy", "validation_loss"):
        assert engine.callback_metrics[name].item() == pytest.approx(last[name], rel=1e-3), name


@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
def test_every_method_is_a_plain_loop(method, tmp_path):
    module = LightningObjective(
        Objective(network(), method, 24, 6, seed=1),
        optimizer=Optimizer(name="sgd", lr=0.1),
        schedule=Schedule(name="cosine"),
    )
    plain = copy.deepcopy(module.objective).train()
    trainer(tmp_path, max_epochs=2).fit(module, loader())

    optimizer = torch.optim.SGD(plain.parameters(), lr=0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 6)
    for _ in range(2):
        for image, label, index in loader():
            plain(image, label, index)["loss"].backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
    for name, value in plain.model.state_dict().items():
        torch.testing.assert_close(module.objective.model.state_dict()[name], value, rtol=1e-4, atol=1e-5)
    for name, value in plain.state.state_dict().items():
        torch.testing.assert_close(module.objective.state.state_dict()[name], value)
    assert module(dataset()[0][0][None]).shape == (1, 3)


class AfterTheFirstEpoch(lightning.Callback):
    def __init__(self, file):
        self.file = file

    def on_train_epoch_end(self, trainer, pl_module):
        if trainer.current_epoch == 0:
            trainer.save_checkpoint(self.file)


def test_a_resumed_run_ends_with_the_same_bits(tmp_path):
    def module():
        return LightningObjective(Objective(network(), METHODS[-1], 24, 6))

    whole, part, resumed = module(), module(), module()
    trainer(tmp_path, max_epochs=2).fit(whole, loader())
    trainer(tmp_path, max_epochs=2, callbacks=[AfterTheFirstEpoch(tmp_path / "kept.ckpt")]).fit(part, loader())
    trainer(tmp_path, max_epochs=2).fit(resumed, loader(), ckpt_path=tmp_path / "kept.ckpt")
    assert resumed.objective.step == 6
    for name, value in whole.objective.model.state_dict().items():
        assert torch.equal(resumed.objective.model.state_dict()[name], value), name
    assert torch.equal(resumed.objective.state.q, whole.objective.state.q)


def test_indexed_adds_positions():
    image, label, position = Indexed(dataset())[5]
    assert torch.equal(image, dataset()[5][0]) and label == dataset()[5][1] and position == 5
    assert len(Indexed(dataset())) == 24
    assert Indexed([("image", 1, "path")])[0] == ("image", 1, 0)
    assert Indexed([{"label": 1, "image": "image", "age": 3}])[0] == ("image", 1, 0)
    with pytest.raises(InputError, match="item 0 is a dictionary of pixel_values, label; expected"):
        Indexed([{"pixel_values": "image", "label": 1}])[0]


def test_batches_may_be_dictionaries():
    image, label = next(iter(DataLoader(dataset(), batch_size=4)))
    parts = {"label": label, "image": image, "index": torch.arange(4), "path": ["a"] * 4}
    read = _batch(parts)
    assert (
        read.image is image and read.label is label and torch.equal(read.index, torch.arange(4)) and read.mask is None
    )
    assert _batch(parts | {"mask": image > 1}).mask is not None
    for lacking, sentence in (
        ("image", "a training batch is a dictionary of label, index, path"),
        ("index", "got 2 parts"),
    ):
        with pytest.raises(InputError, match=sentence):
            _batch({name: value for name, value in parts.items() if name != lacking})


@pytest.mark.parametrize(
    ("samples", "batches", "settings", "schedule", "sentence"),
    [
        (24, DataLoader(dataset()), {"max_epochs": 1}, "cosine", "must be (image, label, index), got 2 parts"),
        (23, loader(), {"max_epochs": 1}, "cosine", "24 images, but the Objective was made for num_samples 23"),
        (24, loader(), {"max_epochs": -1}, "cosine", "the Trainer needs max_epochs or max_steps"),
        (24, loader(), {"max_epochs": 1, "max_steps": 2}, "steps", "schedule 'steps' counts epochs"),
    ],
)  # fmt: skip
def test_mistakes(samples, batches, settings, schedule, sentence, tmp_path):
    module = LightningObjective(Objective(network(), FAST, samples, 6), schedule=Schedule(name=schedule))
    with pytest.raises(InputError) as caught:
        trainer(tmp_path, **settings).fit(module, batches)
    assert sentence in str(caught.value)


def test_a_run_of_so_many_steps(tmp_path):
    module = LightningObjective(Objective(network(), Regular(), 24, 5), schedule=Schedule(name="cosine"))
    engine = trainer(tmp_path, max_steps=5, max_epochs=-1)
    engine.fit(module, loader())
    assert engine.global_step == 5
    assert engine.optimizers[0].param_groups[0]["lr"] == pytest.approx(0, abs=1e-9)


TWO_PROCESSES = """
import json, sys, warnings

warnings.simplefilter("ignore")
import lightning, torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from pellucid import SCAAT, Objective, Optimizer, fgsm
from pellucid.core import randomness
from pellucid.integrations.lightning import Indexed, LightningObjective, _batch

class Keep(lightning.Callback):
    def on_train_end(self, trainer, pl_module):
        state = pl_module.objective.state
        found = {"q": state.q.tolist(), "updates": state.updates.item(), "sent": pl_module.trainer.world_size}
        found["weight"] = [p.double().sum().item() for p in pl_module.parameters()]
        with open(f"rank{trainer.global_rank}.json", "w") as file:
            json.dump(found, file)

if __name__ == "__main__":
    draws = torch.Generator().manual_seed(0)
    data = TensorDataset(torch.rand(24, 1, 8, 8, generator=draws), torch.randint(3, (24,), generator=draws))
    with randomness.fork(0):
        network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    objective = Objective(network, SCAAT(attack=fgsm(eps=0.2), warmup=0.0), 24, 6)
    trainer = lightning.Trainer(
        max_epochs=2, accelerator="cpu", devices=2, strategy="ddp_spawn", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, callbacks=[Keep()],
    )
    trainer.fit(LightningObjective(objective), DataLoader(Indexed(data), batch_size=4))
"""


@pytest.mark.slow
def test_two_processes_keep_the_same_q_and_weights(tmp_path):
    (tmp_path / "two.py").write_text(TWO_PROCESSES)
    done = subprocess.run([sys.executable, "two.py"], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    one, other = (json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1))
    assert one == other
    assert one["updates"] == 6 and one["sent"] == 2
    # Every image met one update an epoch, by whichever process.
    assert all(min(abs(q - value) for value in (0.4, 0.5, 0.6)) < 1e-6 for q in one["q"])


@pytest.mark.slow
def test_a_trainer_of_the_older_package_takes_it(tmp_path):
    program = (
        "import pytorch_lightning, pellucid.integrations.lightning as ours\n"
        "print(issubclass(ours.LightningObjective, pytorch_lightning.LightningModule))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "True", done.stderr


def test_a_pretrained_network_is_tuned() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    before = copy.deepcopy(network.state_dict())
    tuning = FineTuning(freeze=("0",), batchnorm="frozen", layer_decay=0.1, warmup=0.5)
    batches = DataLoader(Indexed(TensorDataset(torch.rand(8, 1, 8, 8), torch.arange(8) % 3)), batch_size=4)
    module = LightningObjective(
        Objective(network, Regular(), 8, 4), schedule=Schedule(name="cosine"), fine_tuning=tuning
    )
    trainer = lightning.Trainer(
        max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(module, batches)
    after = network.state_dict()
    kept = {name for name in before if torch.equal(before[name], after[name])}
    assert kept == {"0.weight", "0.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked"}
    rates = [group["initial_lr"] for group in trainer.optimizers[0].param_groups]
    assert rates[0] == pytest.approx(0.1 * rates[-1]) and len(rates) == 2


@pytest.mark.parametrize(
    ("choice", "instead"),
    [({"clip": 1.0}, "gradient_clip_val"), ({"accumulate": 2}, "accumulate_grad_batches"), ({"ema": 0.9}, "EMAWeight")],
)
def test_what_lightning_does_itself_is_named(choice: dict[str, float], instead: str) -> None:
    (name,) = choice
    with pytest.raises(InputError, match=rf"fine_tuning\.{name} does not work .*{instead}"):
        LightningObjective(Objective(nn.Linear(2, 2), Regular(), 8, 4), fine_tuning=FineTuning(**choice))
