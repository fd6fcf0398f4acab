"""Time of a training step, as a ratio to the sum of the passes that it cannot do without.

    python benchmarks/step_cost.py            about three minutes on two cores; writes results/step-cost.{json,md}

The floor of a method is the sum of its primitives (a forward pass with the input's gradient, an optimizer step on one,
two or three batches), each timed alone, in the same run and on the same tensors. All are timed in turn, round after
round, and the median over rounds is taken, so that a change of clock speed meets all alike.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from scipy.stats import bootstrap

from pellucid import PGD, SCAAT, AdversarialTraining, Method, Network, Objective, Regular, SaliencyGuided, fgsm
from pellucid.core.input_gradient import input_gradient
from pellucid.core.modes import evaluating
from pellucid.models import build
from pellucid.runs.environment import environment
from pellucid.runs.training import train_step

ATTACK = PGD(eps=0.1, step_size=0.05, steps=4)
METHODS: dict[str, Method] = {
    "Regular": Regular(),
    "AT, PGD-4": AdversarialTraining(attack=ATTACK),
    "AT, FGSM": AdversarialTraining(attack=fgsm(eps=0.1)),
    "SGT": SaliencyGuided(),
    "SGT + AT (A), PGD-4": SaliencyGuided(attack=ATTACK),
    "SCAAT, PGD-4": SCAAT(attack=ATTACK),
    "SCAAT, one step": SCAAT(attack=fgsm(eps=0.1)),
    "SCAAT, one step, share 1/8": SCAAT(attack=fgsm(eps=0.1), share=1 / 8),
}
NETWORKS = {
    "LeNet-5, 1×28×28": (Network(name="lenet5", normalize=False), (1, 28, 28)),
    "ResNet-18 at quarter width, 3×32×32": (Network(name="resnet18", options={"width": 16}), (3, 32, 32)),
}
FLOORS = {  # how often each primitive is needed
    "Regular": {"step 1": 1},
    "AT, PGD-4": {"input gradient": 4, "step 1": 1},
    "AT, FGSM": {"input gradient": 1, "step 1": 1},
    "SGT": {"input gradient": 1, "step 2": 1},
    "SGT + AT (A), PGD-4": {"input gradient": 5, "step 3": 1},
    "SCAAT, PGD-4": {"input gradient": 5, "step 2": 1},
    "SCAAT, one step": {"input gradient": 2, "step 2": 1},
    "SCAAT, one step, share 1/8": {"input gradient of 1/8": 2, "step 1 and 1/8": 1},
}


def primitives(
    network: Network, shape: tuple[int, int, int], batch: int, device: torch.device
) -> dict[str, Callable[[], None]]:
    """The passes that methods are made of, in plain PyTorch."""
    model = build(network, classes=10, shape=shape, mean=(0.5,) * shape[0], std=(0.5,) * shape[0]).train().to(device)
    optimizer = torch.optim.Adam(model.parameters())
    x, y = torch.rand(batch, *shape, device=device), torch.randint(0, 10, (batch,), device=device)
    few = batch // 8

    def step(*parts: int) -> None:
        loss = sum(F.cross_entropy(model(x[:n]), y[:n]) for n in parts)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    def forward() -> None:
        with torch.no_grad(), evaluating(model):
            model(x)

    def gradient(n: int) -> None:
        with evaluating(model):
            input_gradient(lambda x: F.cross_entropy(model(x), y[:n], reduction="none"), x[:n])

    def plain_gradient() -> None:
        with evaluating(model):
            changed = x.clone().requires_grad_()
            torch.autograd.grad(F.cross_entropy(model(changed), y, reduction="sum"), changed)

    return {
        "forward": forward,
        "input gradient": lambda: gradient(batch),
        "input gradient, autograd's own": plain_gradient,
        "input gradient of 1/8": lambda: gradient(few),
        "step 1": lambda: step(batch),
        "step 1 and 1/8": lambda: step(batch, few),
        "step 2": lambda: step(batch, batch),
        "step 3": lambda: step(batch, batch, batch),
    }


def steps(
    network: Network, shape: tuple[int, int, int], batch: int, device: torch.device
) -> dict[str, Callable[[], None]]:
    """A step of every method, as `pellucid train` does it."""
    fabric = Fabric(accelerator=device.type, devices=1)
    done = {}
    for name, method in METHODS.items():
        model = build(network, classes=10, shape=shape, mean=(0.5,) * shape[0], std=(0.5,) * shape[0])
        objective = Objective(model, method, num_samples=batch, total_steps=1000).train()
        optimizer = torch.optim.Adam(objective.parameters())
        wrapped, wrapped_optimizer = fabric.setup(objective, optimizer)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
        image, label = torch.rand(batch, *shape, device=device), torch.randint(0, 10, (batch,), device=device)
        data = (image, label, torch.arange(batch, device=device))

        def one(a=wrapped, b=wrapped_optimizer, c=schedule, d=data) -> None:
            train_step(fabric, a, b, c, d)

        done[name] = one
    return done


def measure(
    works: dict[str, Callable[[], None]], *, rounds: int, seconds: float, device: torch.device
) -> dict[str, list[float]]:
    """Milliseconds of each work, one value a round."""
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    repeats = {}
    for name, work in works.items():
        work(), work()
        wait()
        clock = time.perf_counter()
        work()
        wait()
        repeats[name] = max(1, round(seconds / len(works) / rounds / (time.perf_counter() - clock)))
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            clock = time.perf_counter()
            for _ in range(repeats[name]):
                work()
            wait()
            times[name].append((time.perf_counter() - clock) / repeats[name] * 1e3)
    return times


def ratio(times: dict[str, list[float]], name: str, floor: dict[str, int]) -> dict[str, float]:
    """Median over rounds of step / floor, with a 95 % bootstrap interval."""
    rounds = range(len(times[name]))
    values = [times[name][r] / sum(count * times[part][r] for part, count in floor.items()) for r in rounds]
    resampled = bootstrap((values,), statistics.median, vectorized=False, n_resamples=999, rng=0, method="percentile")
    low, high = resampled.confidence_interval
    return {"ratio": statistics.median(values), "low": low, "high": high, "rounds": len(values)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=80, help="time for each network")
    parser.add_argument("--out", type=Path, default=Path("results/step-cost"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    device = options.device
    result: dict[str, object] = {"environment": environment(device), "networks": {}}
    lines = ["# Cost of a training step", ""]
    for title, (network, shape) in NETWORKS.items():
        works = primitives(network, shape, options.batch, device) | steps(network, shape, options.batch, device)
        times = measure(works, rounds=options.rounds, seconds=options.seconds, device=device)
        middle = {name: statistics.median(values) for name, values in times.items()}
        rows = {name: ratio(times, name, FLOORS[name]) for name in METHODS}
        to_regular = {name: ratio(times, name, {"Regular": 1}) for name in METHODS}
        result["networks"][title] = {"milliseconds": middle, "to_floor": rows, "to_regular": to_regular}  # type: ignore[index]
        lines += [f"## {title}, batch {options.batch}, {options.threads} threads", ""]
        lines += ["| primitive | ms |", "|---|---|"]
        lines += [f"| {name} | {middle[name]:.2f} |" for name in works if name not in METHODS]
        lines += ["", "| method | ms | step / floor | step / regular |", "|---|---|---|---|"]
        for name in METHODS:
            f, r = rows[name], to_regular[name]
            lines.append(
                f"| {name} | {middle[name]:.2f} | {f['ratio']:.2f} [{f['low']:.2f}, {f['high']:.2f}] "
                f"| {r['ratio']:.2f} [{r['low']:.2f}, {r['high']:.2f}] |"
            )
        lines.append("")
    facts = result["environment"]
    assert isinstance(facts, dict)
    lines += [
        f"Median over {options.rounds} rounds, 95 % bootstrap interval over rounds. {facts['device_name']}, "
        f"{options.threads} threads, torch {facts['packages']['torch']}, commit {facts['commit']}, {facts['started']}.",
        f"Regenerate: `python benchmarks/step_cost.py --device {device} --threads {options.threads} "
        f"--batch {options.batch}`.",
        "",
    ]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    options.out.with_suffix(".md").write_text("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
