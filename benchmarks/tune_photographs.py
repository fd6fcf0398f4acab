"""Ways of tuning a pretrained network, each with three seeds, beside the network before and two controls.

    python benchmarks/tune_photographs.py --photos IMAGENETTE --out runs/tune-photographs

Trains many networks side by side and continues what is there; --device cuda uses a GPU, --minutes ends in time. Start
CUDA's multi-process service first (``nvidia-cuda-mps-control -d``, with CUDA_MPS_PIPE_DIRECTORY set for it and for this
script), or the processes take turns on the GPU: 33 trainings took five minutes with it on an H200, 16 nine without.
There EfficientNet-B0 takes one minute from nothing and the ViT almost three, beside others: together with what follows
of both they need a call of ten minutes.
IMAGENETTE holds train/CLASS/* and val/CLASS/*. Every fifth training photograph of each class is held back: it
chooses the best epoch, and the preset among the ways. The first hundred of val of each class are the test
photographs, which choose nothing. Networks: EfficientNet-lite0 with its ImageNet weights; and others that are trained
from nothing on the same training photographs and then taken as given: a ResNet-18 of half the usual width, and, where
timm is installed, an EfficientNet-B0, whose activation is SiLU, and a ViT-Tiny with patches of 8 pixels.
`tune_table.py` makes the page in --results; what the page says of a network that was not asked for stays.
"""

import argparse
import json
import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Mapping
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
EPOCHS, BATCH, LR = (1, 16, 2e-3) if SMOKE else (6, 128, 2e-3)
LAYER_DECAY = 0.1
SEEDS = (1,) if SMOKE else (1, 2, 3)
DEFAULT = ["efficientnet-lite0", "resnet18-224"]
"""Networks that need no package besides pellucid's own."""
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

    def applied_to(self, experiment: Experiment, stage: str | None) -> Experiment:
        if self.head_only:
            untouched = FineTuning(head_epochs=experiment.epochs, batchnorm="frozen", keep="best")
            return replace(experiment, fine_tuning=untouched)
        preset = TuningPreset(name="tried", family="relu", size="medium", composition=self.composition, evidence=None)
        tuned = preset.applied_to(experiment, side=SIDE, stage=stage)
        method: Method = GaussianAugmentation(sigma=self.sigma) if self.sigma else tuned.method
        assert experiment.fine_tuning is not None
        return replace(tuned, method=method, fine_tuning=replace(experiment.fine_tuning, layer_decay=self.layer_decay))


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A pretrained network: one with published weights, or one that is trained here, once, and then taken as given.

    Args:
        name: its folder, and its name on the page.
        network: with its published weights, or the architecture alone.
        stage: behind which layer a smoothing block goes; None where ways with one are left out.
        scratch_epochs: for how long it is trained here; 0 where its weights are published.
        ways: how many of `ways` are tried, from the first, where none is asked for.
    """

    name: str
    network: Network
    stage: str | None = None
    scratch_epochs: int = 0
    ways: int = 6

    def trained_in(self, out: Path) -> Path:
        """Its run directory, where it is trained here."""
        return out / "from-nothing" / self.name

    def given(self, out: Path) -> Network:
        """The network with its weights, which are still to come where it is trained here."""
        if not self.scratch_epochs:
            return self.network
        return replace(self.network, weights=str(RunDirectory(self.trained_in(out)).weights))

    def tried(self, names: list[str] | None) -> list[Way]:
        """The ways of these names that suit it, in their order; where none is named, its first ones."""
        fitting = {way.name: way for way in ways() if self.stage or way.composition.filter == "off"}
        if names:
            return [fitting[name] for name in dict.fromkeys(names) if name in fitting]
        return list(fitting.values())[: 3 if SMOKE else self.ways]


def backbones() -> dict[str, Backbone]:
    """The networks that are tuned, by name."""
    width = {"width": 4 if SMOKE else 32}
    patches = {"img_size": SIDE, "patch_size": 8}
    every = (
        Backbone(
            name="efficientnet-lite0", network=Network(name="efficientnet-lite0", options={"pretrained": True},
            head="new"), stage="_blocks.2", ways=len(ways()),
        ),
        Backbone(
            name="resnet18-224", network=Network(name="resnet18-224", options=width), stage="layer1",
            scratch_epochs=20, ways=5,
        ),
        Backbone(name="efficientnet-b0", network=Network(name="timm:efficientnet_b0"), scratch_epochs=20),
        Backbone(
            name="vit-tiny", network=Network(name="timm:vit_tiny_patch16_224", options=patches), scratch_epochs=40
        ),
    )  # fmt: skip
    return {one.name: one for one in every}


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


def all_carried_out(options: argparse.Namespace, jobs: Mapping[str, list[Job]], *, deadline: float) -> bool:
    """Carry out jobs side by side until all are done or time is over; whether all were done.

    Those of a network that is trained from nothing wait for it, and then come before what is left of the others.

    Args:
        options: of the command line.
        jobs: by network.
        deadline: on the monotonic clock.
    """
    pool = ProcessPoolExecutor(options.jobs, mp_context=multiprocessing.get_context("spawn"))
    known = backbones()
    waiting = [job for name, some in jobs.items() if not known[name].scratch_epochs for job in some]
    running: dict[Future[Any], str] = {
        pool.submit(from_nothing, options, known[name]): name for name in jobs if known[name].scratch_epochs
    }
    started, failed = time.monotonic(), 0
    while (running or waiting) and time.monotonic() < deadline:
        while waiting and len(running) < options.jobs:
            job = waiting.pop(0)
            running[pool.submit(carry_out, job)] = "/".join(job.place.parts[-3:])
        done, _ = wait(running, timeout=max(0.1, deadline - time.monotonic()), return_when=FIRST_COMPLETED)
        for future in done:
            name = running.pop(future)
            try:
                told = future.result()
            except Exception:
                failed += 1
                print(f"{name} failed:\n{traceback.format_exc()}", flush=True)
                continue
            if name in jobs:
                waiting[:0] = jobs[name]
            print(f"{time.monotonic() - started:.0f} s, {len(waiting)} wait; {name}: {told}", flush=True)
    for process in list((pool._processes or {}).values()):
        process.kill()
    pool.shutdown(wait=False, cancel_futures=True)
    print(f"time is over: {len(running)} running, {len(waiting)} waiting" if running else "all are done", flush=True)
    return not running and not failed


def jobs_of(options: argparse.Namespace, backbone: Backbone) -> list[Job]:
    """A network tuned in some ways, each with every seed."""
    folder, held_back = linked(options.photos, options.out)
    return [
        Job(
            place=options.out / backbone.name / way.name / f"seed{seed}",
            experiment=way.applied_to(regular(folder, backbone.given(options.out), seed), backbone.stage),
            held_back=str(held_back), images=options.images, curves=options.curves, cards=options.cards,
            device=options.device,
        )
        for way in backbone.tried(options.ways)
        for seed in SEEDS
    ]  # fmt: skip


def from_nothing(options: argparse.Namespace, backbone: Backbone) -> str:
    """A network that is trained here, once, and then taken as given."""
    torch.set_num_threads(1)
    started = time.perf_counter()
    photographs, _ = linked(options.photos, options.out)
    experiment = replace(
        regular(photographs, backbone.network, seed=0), fine_tuning=None,
        epochs=1 if SMOKE else backbone.scratch_epochs, schedule=Schedule(name="one-cycle"),
    )  # fmt: skip
    fit(experiment, backbone.trained_in(options.out), resume=True, accelerator=options.device, progress=False)
    return f"trained from nothing in {time.perf_counter() - started:.0f} s"


def write(options: argparse.Namespace) -> None:
    """What is measured until now."""
    facts = environment(torch.device(options.device))
    del facts["command"]  # it may hold a path of this machine
    command = "python benchmarks/tune_photographs.py --photos IMAGENETTE --out runs/tune-photographs"
    if options.device == "cuda":
        command += " --device cuda"
    if options.networks != DEFAULT:
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
    parser.add_argument("--networks", nargs="+", default=DEFAULT, choices=list(backbones()))
    parser.add_argument(
        "--ways",
        nargs="+",
        choices=[way.name for way in ways()],
        help="by default all, of networks without published weights the first few; done in the order given",
    )
    options = parser.parse_args()
    deadline = time.monotonic() + 60 * options.minutes
    jobs = {name: jobs_of(options, backbones()[name]) for name in options.networks}
    for folder in linked(options.photos, options.out):
        composites(str(folder)).truth_of([0])  # made once, before all ask for them
    done = all_carried_out(options, jobs, deadline=deadline)
    write(options)
    return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main())
