"""Time of every measure, as a ratio to the passes that it cannot do without, and to what other packages take.

    scripts/environment parity
    OMP_NUM_THREADS=1 .venv-parity/bin/python benchmarks/metric_cost.py

takes about six minutes on one core and writes results/metric-cost.{json,md}.

The floor of a measure is its number of forward passes, input gradients and Hessian-vector products, each timed alone,
in the same run and on the same batch; how many images really went through the network is counted. All are timed in
turn, round after round, and the median over rounds of each round's ratio is taken. Without Quantus or Captum, the
ratios to them are left out, and the page says so.
"""

import argparse
import contextlib
import importlib.util
import io
import json
import statistics
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from step_cost import measure, ratio
from torch import Tensor, nn

from pellucid import PGD, IntegratedGradients, Network, SmoothGrad, VanillaGradient, heatmap, metrics
from pellucid.core.input_gradient import input_gradient
from pellucid.core.randomness import SampleDraws, fork
from pellucid.metrics import Case
from pellucid.metrics.measure import measured
from pellucid.metrics.metric import Images
from pellucid.metrics.suite import select
from pellucid.models import build
from pellucid.runs.environment import environment
from pellucid.saliency import as_saliency

NETWORKS = {
    "LeNet-5, 1×28×28": (Network(name="lenet5", normalize=False), (1, 28, 28), 100, "network.conv2"),
    "ResNet-18 at quarter width, 3×32×32": (
        Network(name="resnet18", options={"width": 16}), (3, 32, 32), 32, "network.layer3.0.conv1",
    ),
}  # fmt: skip
TARGETS = {"passes": 1.15, "Quantus": 1 / 3, "Captum": 1.02}
DRAWS, STEPS = 10, 20
FAMILIES = ("sparsity", "stability", "similarity", "sensitivity")


@dataclass(frozen=True, eq=False)
class Setting:
    """An untrained network and random images: time does not depend on what they show."""

    model: nn.Module
    x: Tensor
    target: Tensor
    layer: str
    draws: SampleDraws
    map: Tensor


@dataclass(frozen=True, eq=False)
class Measured:
    """A measure's call, the passes that it must make, and other packages' call for the same."""

    work: Callable[[], Any]
    floor: dict[str, float] = field(default_factory=dict)
    peer: str = ""
    theirs: Callable[[], Any] | None = None


def setting(name: str, device: torch.device) -> Setting:
    network, shape, batch, layer = NETWORKS[name]
    with fork(0):
        model = build(network, classes=10, shape=shape, mean=(0.5,) * shape[0], std=(0.5,) * shape[0])
    model = model.eval().to(device)
    draws = SampleDraws(0, tuple(range(batch)))
    x = draws.of("images").uniform((batch, *shape), device=device)
    with torch.no_grad():
        target = model(x).argmax(1)
    return Setting(model, x, target, layer, draws, heatmap(VanillaGradient()(model, x, target)))


def primitives(s: Setting) -> dict[str, Callable[[], Any]]:
    """The passes that measures are made of."""

    def forward() -> None:
        with torch.no_grad():
            s.model(s.x)

    def loss(x: Tensor) -> Tensor:
        return F.cross_entropy(s.model(x), s.target, reduction="none")

    def gradient(create_graph: bool = False) -> None:
        input_gradient(loss, s.x.clone().requires_grad_() if create_graph else s.x, create_graph=create_graph)

    start = s.x.clone().requires_grad_()
    kept, _ = input_gradient(loss, start, create_graph=True)
    direction = torch.randn_like(s.x)
    return {
        "forward": forward,
        "input gradient": gradient,
        "input gradient, kept": lambda: gradient(create_graph=True),
        "Hessian product": lambda: torch.autograd.grad(kept, start, direction, retain_graph=True),
    }


def measures(s: Setting) -> dict[str, Measured]:
    """Every measure that runs the network, with its floor; of those of other packages, at the same number of passes."""
    on = {"model": s.model, "x": s.x, "target": s.target}
    noisy = {"saliency": VanillaGradient(), "draws": DRAWS, "generator": s.draws}
    curve = {"steps": STEPS, "generator": s.draws}
    attack = PGD(eps=0.03, step_size=0.01, steps=10)
    layers = sum(1 for m in s.model.modules() if next(m.parameters(recurse=False), None) is not None)
    shares = tuple(np.linspace(0.05, 0.95, STEPS).tolist())
    found = {
        "relative_stability (RIS, ROS, RRS)": Measured(
            lambda: metrics.relative_stability(**on, **noisy, form="elementwise", layer=s.layer),
            {"forward": 1 + DRAWS, "input gradient": 1 + DRAWS},
            "Quantus", lambda: quantus_stability(s),
        ),
        "map_similarity": Measured(
            lambda: metrics.map_similarity(**on, **noisy), {"forward": 1 + DRAWS, "input gradient": 1 + DRAWS}
        ),
        "local_lipschitz": Measured(
            lambda: metrics.local_lipschitz(**on, **noisy), {"forward": 1, "input gradient": 1 + DRAWS}
        ),
        "max_sensitivity": Measured(
            lambda: metrics.max_sensitivity(**on, **noisy), {"forward": 1, "input gradient": 1 + DRAWS}
        ),
        "gradient_variation": Measured(
            lambda: metrics.gradient_variation(**on, draws=DRAWS, generator=s.draws), {"input gradient": 1 + DRAWS}
        ),
        "top_hessian_eigenvalue": Measured(
            lambda: metrics.top_hessian_eigenvalue(s.model, s.x, s.target, iterations=DRAWS, generator=s.draws),
            {"input gradient, kept": 1, "Hessian product": DRAWS},
        ),
        "hessian_trace": Measured(
            lambda: metrics.hessian_trace(s.model, s.x, s.target, draws=DRAWS, generator=s.draws),
            {"input gradient, kept": 1, "Hessian product": DRAWS},
        ),
        "perturbation_curves (AOPC)": Measured(
            lambda: metrics.perturbation_curves(**on, heatmap=s.map, repeats=1, **curve), {"forward": 1 + 2 * STEPS},
            "Quantus", lambda: quantus_regions(s),
        ),
        "randomisation_similarity": Measured(
            lambda: metrics.randomisation_similarity(**on, saliency=VanillaGradient()),
            {"forward": 1, "input gradient": 1 + layers},
        ),
        "robust_correct (PGD-10)": Measured(
            lambda: metrics.robust_correct(s.model, s.x, s.target, attack, generator=s.draws),
            {"forward": 2, "input gradient": 10},
        ),
    }  # fmt: skip
    if "insertion_deletion" in metrics.__all__:
        found["insertion_deletion"] = Measured(
            lambda: metrics.insertion_deletion(**on, heatmap=s.map, steps=STEPS), {"forward": 1 + 2 * STEPS}
        )
    if "road" in metrics.__all__:
        found["road"] = Measured(
            lambda: metrics.road(**on, heatmap=s.map, orders=("morf",), shares=shares, generator=s.draws),
            {"forward": 1 + STEPS},
            *(("Quantus", lambda: quantus_road(s, shares)) if s.x.shape[1] == 1 else ()),
        )
    return found


def maps(s: Setting) -> dict[str, Measured]:
    """Maps of many passes against Captum's, with the same number of images in a pass."""
    asked, copies = (s.model, s.x, s.target), len(s.x)

    def captum_integrated() -> Any:
        from captum.attr import IntegratedGradients as Theirs

        return Theirs(s.model).attribute(s.x, target=s.target, n_steps=STEPS, internal_batch_size=copies)

    def captum_smooth() -> Any:
        from captum.attr import NoiseTunnel, Saliency

        tunnel = NoiseTunnel(Saliency(s.model))
        return tunnel.attribute(
            s.x, nt_samples=STEPS, nt_samples_batch_size=1, stdevs=0.15, target=s.target, abs=False
        )  # fmt: skip

    return {
        "IntegratedGradients": Measured(
            lambda: IntegratedGradients(steps=STEPS)(*asked), {"input gradient": STEPS}, "Captum", captum_integrated
        ),
        "SmoothGrad": Measured(
            lambda: SmoothGrad(samples=STEPS)(*asked, generator=s.draws), {"input gradient": STEPS}, "Captum",
            captum_smooth,
        ),
    }  # fmt: skip


def without_network(s: Setting) -> dict[str, Measured]:
    """Measures of a map alone, against one forward pass."""
    one, other = s.map / s.map.amax((1, 2), keepdim=True), s.map.flip(0) / s.map.flip(0).amax((1, 2), keepdim=True)
    of_one = ("gini", "hoyer", "entropy", "pixel_entropy", "effective_complexity", "compressed_size", "png_size")
    found = {name: Measured(partial(getattr(metrics, name), s.map), {"forward": 1}) for name in of_one}
    found["ssim"] = Measured(lambda: metrics.ssim(one, other), {"forward": 1})
    found["rank_correlation"] = Measured(lambda: metrics.rank_correlation(one, other), {"forward": 1})
    return found


def noisy_maps(s: Setting) -> dict[str, int]:
    """How many maps of an image the families over noisy images make, in a case for all metrics and in one each."""
    made: list[int] = []

    def saliency(*arguments: Any, **settings: Any) -> Tensor:
        made.append(1)
        return VanillaGradient()(*arguments, **settings)

    def case() -> Case:
        index = torch.arange(2)
        return Case(model=s.model, x=s.x[:2], label=s.target[:2], index=index, saliency=as_saliency(saliency))

    suite = [metric.fitted(Images(tuple(s.x.shape[1:]))) for metric in select(FAMILIES)]
    counts = {}
    for words, cases in (("together", [case()] * len(suite)), ("each alone", [case() for _ in suite])):
        made.clear()
        for metric, asked in zip(suite, cases, strict=True):
            measured(metric, asked)
        counts[words] = len(made)
    return counts


# Quantus, called as it wants to be called.


def explain(model: nn.Module, inputs: Any, targets: Any, **keywords: Any) -> np.ndarray:
    """Pellucid's own gradient, so that only the measure differs."""
    device = next(model.parameters()).device
    x, target = torch.as_tensor(inputs).float().to(device), torch.as_tensor(targets).to(device)
    return VanillaGradient()(model, x, target).cpu().numpy()


def quantus(name: str, s: Setting, attribution: np.ndarray, *, softmax: bool = False, **options: Any) -> Any:
    import quantus as package

    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        metric = getattr(package, name)(abs=False, normalise=False, disable_warnings=True, **options)
        return metric(
            model=s.model, x_batch=s.x.cpu().numpy(), y_batch=s.target.cpu().numpy(), a_batch=attribution,
            explain_func=explain, softmax=softmax, channel_first=True, device=str(s.x.device), batch_size=len(s.x),
        )  # fmt: skip


def quantus_stability(s: Setting) -> None:
    attribution = explain(s.model, s.x, s.target)
    quantus("RelativeInputStability", s, attribution.copy(), nr_samples=DRAWS)
    quantus("RelativeOutputStability", s, attribution.copy(), nr_samples=DRAWS)
    quantus("RelativeRepresentationStability", s, attribution.copy(), nr_samples=DRAWS, layer_names=[s.layer])


def quantus_regions(s: Setting) -> None:
    full = s.map[:, None].expand_as(s.x).cpu().numpy()
    for order in ("morf", "lerf"):
        quantus(
            "RegionPerturbation", s, full.copy(), softmax=True, patch_size=metrics.default_region(s.x.shape[-1]),
            order=order, regions_evaluation=STEPS, perturb_baseline="uniform",
        )  # fmt: skip


def quantus_road(s: Setting, shares: tuple[float, ...]) -> None:
    quantus("ROAD", s, s.map[:, None].cpu().numpy(), percentages=[100 * share for share in shares])


# Counting, timing, rendering.


@contextlib.contextmanager
def counted(model: nn.Module) -> Iterator[list[int]]:
    """The number of images of each forward pass of the network, and of its copies."""
    seen: list[int] = []

    def note(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        seen.append(len(arguments[0]))

    handle = model.register_forward_pre_hook(note)
    try:
        yield seen
    finally:
        handle.remove()


def present(package: str) -> bool:
    return importlib.util.find_spec(package.lower()) is not None


def cost(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Rows of one network, all timed in turn."""
    s = setting(name, options.device)
    groups = {"measures": measures(s), "maps": maps(s), "without network": without_network(s)}
    chosen = {
        title: {key: one for key, one in group.items() if options.only is None or options.only in key}
        for title, group in groups.items()
    }
    works = dict(primitives(s))
    for group in chosen.values():
        for key, one in group.items():
            works[key] = one.work
            if one.theirs is not None and present(one.peer):
                works[f"{key}, {one.peer}"] = one.theirs
    print(f"{name}: {len(works)} calls, timed in turn ...", file=sys.stderr, flush=True)
    times = measure(works, rounds=options.rounds, seconds=options.seconds, device=options.device)
    rows = []
    for title, group in chosen.items():
        for key, one in group.items():
            with counted(s.model) as seen:
                one.work()
            theirs = f"{key}, {one.peer}"
            rows.append({
                "group": title,
                "measure": key,
                "milliseconds": statistics.median(times[key]),
                "images": sum(seen),
                "largest_batch": max(seen, default=0),
                "floor": one.floor,
                "to_floor": ratio(times, key, one.floor),
                "peer": one.peer,
                "to_peer": ratio(times, key, {theirs: 1}) if theirs in times else None,
            })  # fmt: skip
    return {
        "batch": len(s.x),
        "noisy_maps": noisy_maps(s),
        "milliseconds": {key: statistics.median(times[key]) for key in primitives(s)},
        "rows": rows,
    }


def written(value: dict[str, float] | None, target: float | None) -> str:
    if value is None:
        return ""
    met = "" if target is None or value["ratio"] <= target else " **misses**"
    return f"{value['ratio']:.2f} [{value['low']:.2f}, {value['high']:.2f}]{met}"


def page(result: dict[str, Any]) -> str:
    """results/metric-cost.md."""
    facts, arguments = result["environment"], result["arguments"]
    lines = ["# Cost of a measure", ""]
    for name, network in result["networks"].items():
        lines += [f"## {name}, batch {network['batch']}, {facts['threads']} threads", ""]
        lines += [", ".join(f"{key} {value:.2f} ms" for key, value in network["milliseconds"].items()) + ".", ""]
        lines += [
            "| measure | ms | images through the network | most at once | passes that it must make | time / passes |"
            " time / other package |",
            "|---|---|---|---|---|---|---|",
        ]
        for row in network["rows"]:
            if row["group"] == "without network":
                continue
            passes = ", ".join(f"{count:g} × {key}" for key, count in row["floor"].items())
            target = TARGETS["passes"] if row["group"] == "measures" else None
            peer = f"{row['peer']} {written(row['to_peer'], TARGETS[row['peer']])}" if row["to_peer"] else ""
            lines.append(
                f"| {row['measure']} | {row['milliseconds']:.1f} | {row['images']} | {row['largest_batch']} | {passes}"
                f" | {written(row['to_floor'], target)} | {peer} |"
            )
        lines += ["", "| measure of a map alone | ms | time / one forward pass |", "|---|---|---|"]
        lines += [
            f"| {row['measure']} | {row['milliseconds']:.2f} | {written(row['to_floor'], None)} |"
            for row in network["rows"]
            if row["group"] == "without network"
        ]
        lines.append("")
        if maps_of := network.get("noisy_maps"):  # results of earlier versions have none
            lines += [
                f"The families {', '.join(FAMILIES)} together make {maps_of['together']} maps of an image, each metric "
                f"alone {maps_of['each alone']}.",
                "",
            ]
    missing = f" Not installed, so left out: {', '.join(result['missing'])}." if result["missing"] else ""
    lines += [
        f"Aims: at most {TARGETS['passes']} times the passes; at most 1/3 of Quantus's time for the same number of"
        f" draws or forward passes; at most {TARGETS['Captum']} times Captum's for the same number of steps and images"
        f" in a pass.{missing}",
        "",
        f"Median over {arguments['rounds']} rounds, 95 % bootstrap interval over rounds. {facts['device_name']},"
        f" {facts['threads']} threads, torch {facts['packages']['torch']}, commit {facts['commit']}"
        f"{' with changes' if facts['dirty'] else ''}, {facts['started']}. Regenerate: `scripts/environment parity &&"
        f" OMP_NUM_THREADS={facts['threads']} .venv-parity/bin/python benchmarks/{facts['command']}`.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=120, help="time for each network")
    parser.add_argument("--only", help="measures whose name holds this; writes nothing")
    parser.add_argument("--network", default="", help="networks whose name holds this")
    parser.add_argument("--out", type=Path, default=Path("results/metric-cost"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    result = {
        "environment": environment(options.device),
        "arguments": {"rounds": options.rounds, "seconds": options.seconds},
        "missing": [package for package in ("Quantus", "Captum") if not present(package)],
        "networks": {name: cost(name, options) for name in NETWORKS if options.network in name},
    }
    if not options.only:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.with_suffix(".json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
        options.out.with_suffix(".md").write_text(page(result))
    print(page(result))


if __name__ == "__main__":
    main()
