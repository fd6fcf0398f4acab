"""Six networks on Fashion-MNIST, trained, measured and compared: the main job from one command."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pellucid.attacks import PGD, fgsm
from pellucid.core.checks import at_least
from pellucid.core.cores import usable_cores
from pellucid.core.progress import Job, Progress
from pellucid.core.terminal import is_styled
from pellucid.data import Data
from pellucid.edits.smoothing import Smoothing
from pellucid.methods import SCAAT, AdversarialTraining, Method, Regular, SaliencyGuided
from pellucid.models import Network
from pellucid.papers.cost import step_ratios
from pellucid.papers.stages import Stage, finished, usual_jobs
from pellucid.report import compare, read_runs, render, write_picture, write_report
from pellucid.report.text_table import ranks
from pellucid.runs.directory import RunDirectory
from pellucid.runs.evaluation import Evaluation, evaluate
from pellucid.runs.settings import Experiment
from pellucid.runs.training import fit

__all__ = ["Demo", "demo", "experiments"]


@dataclass(frozen=True, kw_only=True)
class Demo:
    """What the demo does.

    Args:
        out: folder of the run directories and the report; ``runs/demo``, or ``runs/demo-quick``, by default.
        quick: a tenth of the training images and fewer measured ones: less than a minute, for a first look only.
        seed: seed of all random numbers.
        jobs: trainings at once, each with its share of the cores. None: one on each free core.
    """

    out: Path | None = None
    quick: bool = False
    seed: int = 0
    jobs: int | None = None

    def __post_init__(self) -> None:
        at_least(1, jobs=self.jobs)


def experiments(choice: Demo | None = None) -> dict[str, Experiment]:
    """The six runs by name; settings were chosen on the validation images (see ``results/demo-settings.md``).

    >>> list(experiments())
    ['regular', 'at', 'at-smoothing', 'sgt', 'scaat', 'scaat-fast']
    """
    choice = choice or Demo()
    attack = PGD(eps=0.1, step_size=0.03, steps=5)
    methods: dict[str, Method] = {
        "regular": Regular(),
        "at": AdversarialTraining(attack=attack),
        "at-smoothing": AdversarialTraining(attack=attack),
        "sgt": SaliencyGuided(),
        "scaat": SCAAT(attack=PGD(eps=0.3, step_size=0.15, steps=4), weight=1.0),
        "scaat-fast": SCAAT(attack=fgsm(eps=0.3), weight=1.0, share=1 / 8),
    }
    base = Experiment(
        dataset=Data(name="fashion-mnist", limit=6000 if choice.quick else None),
        network=Network(name="lenet5", normalize=False),
        epochs=2,
        seed=choice.seed,
    )
    runs = {name: replace(base, method=method) for name, method in methods.items()}
    runs["at-smoothing"] = replace(runs["at-smoothing"], smoothing=Smoothing(layers=("relu1",)))
    return runs


def demo(choice: Demo | None = None, *, say: Callable[[str], None] = print) -> Path:
    """Train, measure and compare; what is finished is skipped, what was killed is continued.

    Args:
        choice: what the demo does.
        say: takes each line of the account.

    Returns:
        The report.
    """
    choice = choice or Demo()
    out = choice.out or Path("runs/demo-quick" if choice.quick else "runs/demo")
    measured = Evaluation(images=100 if choice.quick else 500, seed=choice.seed)
    runs = experiments(choice)
    say(f"{len(runs)} networks, each trained on Fashion-MNIST and measured on {measured.images} test images.")
    stages = [
        Stage(run=out / name, experiment=experiment, evaluation=measured, classified=False)
        for name, experiment in runs.items()
    ]
    at_once = usual_jobs(stages) if choice.jobs is None else choice.jobs
    jobs = _jobs(out, runs)
    if at_once > 1:
        cores = max(1, usable_cores() // at_once)
        say(f"{at_once} networks are trained at the same time, each on {cores} core" + "s" * (cores > 1) + ".")
        whole = {name: Job(name, "network", sum(job.weight for job in pair)) for name, pair in jobs.items()}
        with Progress("demo", list(whole.values())) as progress:
            for number, stage in enumerate(finished(stages, at_once), start=1):
                say(f"{number}/{len(runs)} {stage.run.name}: trained and measured")
                progress.done(whole[stage.run.name])
    else:
        with Progress("demo", [job for pair in jobs.values() for job in pair], of=2) as progress:
            for number, (name, experiment) in enumerate(runs.items(), start=1):
                run, (training, measuring) = out / name, jobs[name]
                say(f"{number}/{len(runs)} {name}: {type(experiment.method).__name__}" + _also(experiment))
                fit(experiment, run, resume=True)
                progress.done(training)
                evaluate(run, measured, resume=True)
                progress.done(measuring)
    done = [out / name for name in runs]
    report = write_report(done, out / "report.html")
    write_picture(done, out / "maps.png")
    measures = read_runs(done)
    say(render(compare(measures), "text", ranks=ranks(measures), styled=is_styled()))
    say(f"The report is at {report}; open it in a browser.")
    return report


def _jobs(out: Path, runs: Mapping[str, Experiment]) -> dict[str, tuple[Job, Job]]:
    """The training of each run, as long as its steps take beside the others', and its measuring; 0 for what is done."""
    untrained = {name: experiment for name, experiment in runs.items() if not RunDirectory(out / name).is_finished}
    steps = step_ratios(untrained, rounds=1) if len(untrained) > 1 else {}
    weights = dict.fromkeys(runs, 0.0) | dict.fromkeys(untrained, 1.0) | {name: one.mean for name, one in steps.items()}
    return {
        name: (
            Job(f"training {name}", "training", weights[name]),
            Job(f"measuring {name}", "measuring", 0.0 if RunDirectory(out / name).is_evaluated else 1.0),
        )
        for name in runs
    }


def _also(experiment: Experiment) -> str:
    return "" if experiment.smoothing is None else f" with {experiment.smoothing.filter} smoothing"
