"""Ways of tuning a pretrained network, each with three seeds, beside the network before and two controls.

    python benchmarks/tune_photographs.py --photos IMAGENETTE --out runs/tune-photographs

Trains many networks side by side and continues what is there; --device cuda uses a GPU, --minutes ends in time. Start
CUDA's multi-process service first (``nvidia-cuda-mps-control -d``, with CUDA_MPS_PIPE_DIRECTORY set for it and for this
script), or the processes take turns on the GPU: 33 trainings took five minutes with it on an H200, 16 nine without.
IMAGENETTE holds train/CLASS/* and val/CLASS/*. Every fifth training photograph of each class is held back: it
chooses the best epoch, and the preset among the ways. The first hundred of val of each class are the test
photographs, which choose nothing. Networks: EfficientNet-lite0 with its ImageNet weights; and a ResNet-18 of half
the usual width that is trained from nothing on the same training photographs and then taken as given. `tune_table.py`
makes the page in --results; what the page says of a network that was not asked for stays.
"""

import argparse
import json
import multiprocessing
import os
import sys
import time
import traceback
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import torch
import tune_table

from pellucid import Data, Evaluation, Experiment, Method, Network, evaluate, fit
from pellucid.data import Dataset, load
from pellucid.explanation.examination import Examination
from pellucid.explanation.levels import examined
from pellucid.explanation.reference import of_rows
from pellucid.leaderboard.composition import Composition
from pellucid.leaderboard.evaluation import SomeImages
from pellucid.methods.controls import GaussianAugmentation
from pellucid.metrics.families.curves import CurveOrder, Further, PerturbationCurves
from pellucid.report import read_run
from pellucid.runs.directory import RunDirectory
from pellucid.runs.environment import environment
from pellucid.runs.fine_tuning import FineTuning
from pellucid.runs.settings import Optimizer, Schedule
from pellucid.runs.trained import load_network, open_run
from pellucid.tuning.presets import TuningPreset

SIDE = 96
SMOKE = "SMOKE" in os.environ
EPOCHS, SCRATCH_EPOCHS, BATCH, LR = (1, 1, 16, 2e-3) if SMOKE else (6, 20, 128, 2e-3)
LAYER_DECAY = 0.1
SEEDS = (1,) if SMOKE else (1, 2, 3)
LITE, GIVEN = "efficientnet-lite0", "resnet18-224"
STAGE = {LITE: "_blocks.2", GIVEN: "layer1"}
WIDTH = {"width": 4 if SMOKE else 32}
TRUTH = ("mass", "mass_lift", "mass_chance", "pointing")
MAPS = ("vanilla_gradient", "smoothgrad", "gradcam")
LEVEL = "no objection"
FILLS: tuple[dict[str, Any], ...] = ({}, {"fill": "mean", "suffix": "mean"})


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way of tuning: what is added to regular fine-tuning, and how freely the first layers move."""

    composition: Composition = field(default_factory=Composition)
    layer_decay: float = LAYER_DECAY
    sigma: float = 0.0
    head_only: bool = False

    @property
    def name(self) -> str:
        if self.head_only:
            return "before"
        noise = f"gaussian-{self.sigma:g}" if self.sigma else ""
        return (noise or self.composition.name) + (f"-decay-{self.layer_decay:g}" * (self.layer_decay != LAYER_DECAY))

    def applied_to(self, experiment: Experiment, stage: str) -> Experiment:
        if self.head_only:
            untouched = FineTuning(head_epochs=experiment.epochs, batchnorm="frozen", keep="best")
            return replace(experiment, fine_tuning=untouched)
        preset = TuningPreset(name="tried", family="relu", size="medium", composition=self.composition, evidence=None)
        tuned = preset.applied_to(experiment, side=SIDE, stage=stage)
        method: Method = GaussianAugmentation(sigma=self.sigma) if self.sigma else tuned.method
        assert experiment.fine_tuning is not None
        return replace(tuned, method=method, fine_tuning=replace(experiment.fine_tuning, layer_decay=self.layer_decay))


@dataclass(frozen=True, kw_only=True)
class Job:
    """One network to train and to measure."""

    place: Path
    experiment: Experiment
    held_back: str
    images: int
    curves: int
    cards: int
    device: str


def ways() -> list[Way]:
    """What is tried, the most telling first; the second and the fifth are controls, without attack and without map."""
    return [
        Way(head_only=True),
        Way(),
        *(
            Way(composition=Composition(base="trades", strength=eps, steps=2), layer_decay=1.0)
            for eps in (0.008, 0.016)
        ),
        Way(layer_decay=1.0, sigma=0.1),
        Way(composition=Composition(base="structured", strength=0.008), layer_decay=1.0),
        Way(composition=Composition(base="trades", strength=0.004, steps=2), layer_decay=1.0),
        Way(composition=Composition(base="scaat", strength=0.031, steps=1), layer_decay=1.0),
        Way(composition=Composition(base="trades", strength=0.031, steps=2), layer_decay=1.0),
        Way(composition=Composition(base="trades", strength=0.008, steps=2, filter="gaussian"), layer_decay=1.0),
        Way(composition=Composition(base="structured", strength=0.016), layer_decay=1.0),
        Way(layer_decay=1.0),
    ]


def asked(tried: list[Way], names: list[str] | None) -> list[Way]:
    """The ways that are asked for, in the order in which they are asked for; all where none is named."""
    by_name = {way.name: way for way in tried}
    return [by_name[name] for name in dict.fromkeys(names) if name in by_name] if names else tried


def regular(photos: Path, network: Network, seed: int) -> Experiment:
    """Regular fine-tuning as `pellucid tune` does it, in larger batches."""
    return Experiment(
        dataset=Data(name="folder", path=str(photos), size=SIDE, augmentation="flip"),
        network=network,
        optimizer=Optimizer(name="adamw", lr=LR, weight_decay=0.01),
        schedule=Schedule(name="cosine"),
        fine_tuning=FineTuning(head_epochs=1, layer_decay=LAYER_DECAY, warmup=0.1, keep="best"),
        epochs=EPOCHS,
        batch_size=BATCH,
        seed=seed,
        channels_last=True,
    )


def linked(photos: Path, out: Path) -> tuple[Path, Path]:
    """Links to the photographs in train, val and test; and to the first two alone, whose val is then tested."""
    of_all, of_held_back = out / "photographs", out / "held-back"
    for of_class in sorted((photos / "train").iterdir()):
        files = sorted(of_class.iterdir())
        parts = {
            "train": [file for i, file in enumerate(files) if i % 5 != 4],
            "val": files[4::5],
            "test": sorted((photos / "val" / of_class.name).iterdir())[:100],
        }
        for folder, splits in ((of_all, ("train", "val", "test")), (of_held_back, ("train", "val"))):
            for split in splits:
                place = folder / split / of_class.name
                place.mkdir(parents=True, exist_ok=True)
                for file in parts[split]:
                    if not (place / file.name).exists():
                        (place / file.name).symlink_to(file.resolve())
    return of_all, of_held_back


def carry_out(job: Job) -> str:
    """Train one network and measure it on photographs, on composites of them, and by the trust card's rules."""
    torch.set_num_threads(1)
    where: dict[str, Any] = {"accelerator": job.device, "progress": False}
    started = time.perf_counter()
    fit(job.experiment, job.place / "run", resume=True, **where)
    trained = time.perf_counter() - started
    noise = PerturbationCurves(orders=get_args(CurveOrder), between=True, further=get_args(Further))
    share = min(1.0, job.curves / job.images)
    curves = tuple(SomeImages(of=replace(noise, repeats=2, **fill), share=share) for fill in FILLS)
    plain: dict[str, Any] = {"images": job.images, "saliency": ("vanilla_gradient",)}
    truth = Evaluation(**plain | {"saliency": MAPS}, metrics=TRUTH, gallery=1)
    model = load_network(job.place / "run")
    photographs = job.experiment.dataset.path
    assert photographs is not None
    held_back = Evaluation(**plain, metrics=("gini", "ris"), gallery=1)
    chosen = (("held-back", load(replace(job.experiment.dataset, path=job.held_back), "test"), held_back),
              ("held-back-composites", composites(job.held_back), replace(truth, saliency=("vanilla_gradient",))),
              ("composites", composites(photographs), truth))  # fmt: skip
    for name, images, asked in chosen:
        evaluate(model, images, asked, out=job.place / name, resume=True, **where)
    asked = Evaluation(
        **plain, metrics=("gini", "entropy", "ris", "ros", "robust_correct", *curves), robust_eps=2 / 255, gallery=24
    )
    evaluate(job.place / "run", asked, resume=True, **where)
    levels: list[str] = []
    if job.cards:
        levels = levels_of(job)
    (job.place / "cards.json").write_text(json.dumps(levels) + "\n")
    return f"trained in {trained:.0f} s, all in {time.perf_counter() - started:.0f} s"


def composites(photographs: str) -> Dataset:
    """Composites of the held-back photographs; they are made once, and kept."""
    return load(Data(name="truth:composite-colour", path=photographs, size=SIDE), "test", alone=True)


def levels_of(job: Job) -> list[str]:
    """What a quick card's rules say of the first measured photographs."""
    run = read_run(job.place / "run")
    model, dataset = open_run(job.place / "run", "test")
    positions = run.rows["index"].to_numpy()[: job.cards].tolist()
    found = examined(model.to(job.device), dataset, positions, of_rows(job.place / "run"), Examination.quick())
    return [one.level() for one in found]


def all_carried_out(options: argparse.Namespace, first: list[Job], second: list[Job], *, deadline: float) -> bool:
    """Carry out jobs side by side until all are done or time is over; whether all were done.

    The second ones wait for the network that is trained from nothing, and then come before what is left of the first.
    """
    pool = ProcessPoolExecutor(options.jobs, mp_context=multiprocessing.get_context("spawn"))
    waiting = [*first]
    running: dict[Future[Any], str] = {pool.submit(from_nothing, options): "from nothing"} if second else {}
    started, failed = time.monotonic(), 0
    while (running or waiting) and time.monotonic() < deadline:
        while waiting and len(running) < options.jobs:
            job = waiting.pop(0)
            running[pool.submit(carry_out, job)] = "/".join(job.place.parts[-3:])
        done, _ = wait(running, timeout=max(0.1, deadline - time.monotonic()), return_when=FIRST_COMPLETED)
        for future in done:
            name = running.pop(future)
            if name == "from nothing":
                waiting[:0] = second
            try:
                print(f"{time.monotonic() - started:.0f} s, {len(waiting)} wait; {name}: {future.result()}", flush=True)
            except Exception:
                failed += 1
                print(f"{name} failed:\n{traceback.format_exc()}", flush=True)
    for process in list((pool._processes or {}).values()):
        process.kill()
    pool.shutdown(wait=False, cancel_futures=True)
    print(f"time is over: {len(running)} running, {len(waiting)} waiting" if running else "all are done", flush=True)
    return not running and not failed


def jobs_of(options: argparse.Namespace, network: Network, tried: list[Way]) -> list[Job]:
    """A network tuned in some ways, each with every seed."""
    folder, held_back = linked(options.photos, options.out)
    return [
        Job(
            place=options.out / network.name / way.name / f"seed{seed}",
            experiment=way.applied_to(regular(folder, network, seed), STAGE[network.name]),
            held_back=str(held_back), images=options.images, curves=options.curves, cards=options.cards,
            device=options.device,
        )
        for way in tried
        for seed in SEEDS
    ]  # fmt: skip


def from_nothing(options: argparse.Namespace) -> None:
    """A ResNet-18 that is trained here, once, and then taken as given."""
    torch.set_num_threads(1)
    experiment = replace(
        regular(linked(options.photos, options.out)[0], Network(name=GIVEN, options=WIDTH), seed=0), fine_tuning=None,
        epochs=SCRATCH_EPOCHS, schedule=Schedule(name="one-cycle"),
    )  # fmt: skip
    fit(experiment, options.out / "from-nothing", resume=True, accelerator=options.device, progress=False)


def write(options: argparse.Namespace) -> None:
    """What is measured until now."""
    facts = environment(torch.device(options.device))
    del facts["command"]  # it may hold a path of this machine
    command = "python benchmarks/tune_photographs.py --photos IMAGENETTE --out runs/tune-photographs"
    if options.device == "cuda":
        command += " --device cuda"
    if options.networks != [LITE, GIVEN]:
        command += f" --networks {' '.join(options.networks)}"
    if options.ways:
        command += f" --ways {' '.join(options.ways)}"
    told = {
        "images": options.images, "curves": options.curves, "cards": options.cards, "epochs": EPOCHS,
        "batch_size": BATCH, "seeds": list(SEEDS), "environment": facts, "command": command,
    }  # fmt: skip
    (options.out / "facts.json").write_text(json.dumps(told, indent=1) + "\n")
    tune_table.write(options.out, told, options.results / "tune-photographs")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, help="Imagenette: train/CLASS/* and val/CLASS/*")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 2) - 1))
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--curves", type=int, default=100, help="images of those that have curves")
    parser.add_argument("--cards", type=int, default=40)
    parser.add_argument("--minutes", type=float, default=1e6)
    parser.add_argument("--networks", nargs="+", default=[LITE, GIVEN], choices=[LITE, GIVEN])
    parser.add_argument(
        "--ways",
        nargs="+",
        choices=[way.name for way in ways()],
        help="by default all, or the first 5 of the ResNet-18; done in the order given",
    )
    options = parser.parse_args()
    deadline = time.monotonic() + 60 * options.minutes
    lite = Network(name=LITE, options={"pretrained": True}, head="new")
    given = Network(name=GIVEN, options=WIDTH, weights=str(RunDirectory(options.out / "from-nothing").weights))
    first, second = (
        jobs_of(options, network, asked(tried, options.ways)) if network.name in options.networks else []
        for network, tried in ((lite, ways()[:1] if SMOKE else ways()), (given, ways()[1:3] if SMOKE else ways()[:5]))
    )
    for folder in linked(options.photos, options.out):
        composites(str(folder)).truth_of([0])  # made once, before all ask for them
    done = all_carried_out(options, first, second, deadline=deadline)
    write(options)
    return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main())
