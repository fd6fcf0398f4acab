"""What this machine has for pellucid, what is missing, and the command that brings it."""

import os
import platform
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from packaging.markers import default_environment
from packaging.requirements import Requirement

from pellucid import __version__
from pellucid.core.cores import usable_cores

__all__ = ["Finding", "State", "examine"]

State = Literal["ok", "optional", "problem"]
NOT_FOR_USERS = ("dev", "test")
"""Extras that only those need who work on pellucid itself."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        group: what it belongs to: ``machine``, ``packages``, ``extras`` or ``data``.
        name: what was looked at.
        state: ``ok``; ``optional``, which is missing and may be; or ``problem``, without which pellucid does not work,
            or works more slowly than it could.
        found: what there is, in a few words.
        remedy: the command or the step that mends it; empty where nothing is to be mended.
    """

    group: str
    name: str
    state: State
    found: str
    remedy: str = ""


def examine() -> list[Finding]:
    """Look at the machine, the required packages, the extras and the data.

    >>> [finding.found for finding in examine() if finding.name == "pellucid"] == [__version__]
    True
    """
    return [*_machine(), *_packages(), *_extras(), *_data()]


def _machine() -> Iterator[Finding]:
    import torch

    yield Finding("machine", "pellucid", "ok", __version__)
    yield Finding("machine", "Python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    yield Finding("machine", "torch", "ok", torch.__version__)
    yield _device()
    yield _threads()


def _device() -> Finding:
    import torch

    if torch.cuda.is_available():
        gpus = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
        told = ", ".join(f"{gpu.name} with {gpu.total_memory / 2**30:.0f} GiB" for gpu in gpus)
        return Finding("machine", "device", "ok", told)
    if torch.backends.mps.is_available():
        return Finding("machine", "device", "ok", "the GPU of this Mac (mps)")
    if Path("/dev/nvidia0").exists() or Path("/proc/driver/nvidia/version").exists():
        how = "install a torch with CUDA: https://pytorch.org/get-started has the command"
        return Finding("machine", "device", "problem", "an NVIDIA GPU that this torch cannot use", how)
    return Finding("machine", "device", "ok", f"CPU ({_processor()}); no GPU was found")


def _processor() -> str:
    """The processor's name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def _threads() -> Finding:
    import torch

    threads, cores = torch.get_num_threads(), usable_cores()
    told = f"{threads} of {cores} cores that this process may use"
    if threads > cores:
        remedy = f"export OMP_NUM_THREADS={cores}"
        return Finding("machine", "threads", "problem", f"{threads}, more than the {cores} cores it may use", remedy)
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return Finding("machine", "threads", "ok", f"{told}; {busy:.1f} are busy now")


def _packages() -> Iterator[Finding]:
    """What is wrong with the packages that pellucid needs, or that nothing is."""
    required = list(_required(""))
    if not required:
        told = "pellucid is not installed as a package"
        yield Finding("packages", "required", "problem", told, "pip install -e .")
        return
    wrong = [finding for one in required if (finding := _fitting(one, "packages")) is not None]
    yield from wrong
    if not wrong:
        yield Finding("packages", "required", "ok", f"all {len(required)} are there")


def _extras() -> Iterator[Finding]:
    """Each extra: whether its packages are there, and fit."""
    try:
        known = metadata.metadata("pellucid").get_all("Provides-Extra") or []
    except metadata.PackageNotFoundError:
        return
    for extra in sorted({*known} - {*NOT_FOR_USERS}):
        required = list(_required(extra))
        wrong = [finding for one in required if (finding := _fitting(one, "extras")) is not None]
        if not wrong:
            told = ", ".join(f"{one.name} {_version(one.name)}" for one in required)
            yield Finding("extras", extra, "ok", told)
            continue
        told = ", ".join(f"{finding.name}: {finding.found}" for finding in wrong)
        state: State = "problem" if any(_version(finding.name) for finding in wrong) else "optional"
        yield Finding("extras", extra, state, told, f"pip install 'pellucid[{extra}]'")


def _required(extra: str) -> Iterator[Requirement]:
    """The requirements of pellucid, or those that an extra adds, here; nothing where pellucid is not installed."""
    try:
        lines = metadata.requires("pellucid") or []
    except metadata.PackageNotFoundError:
        return
    yield from _that_hold(map(Requirement, lines), extra)


def _that_hold(requirements: Iterable[Requirement], extra: str) -> Iterator[Requirement]:
    here = {name: str(value) for name, value in default_environment().items()}
    for one in requirements:
        always = one.marker is None or one.marker.evaluate(here | {"extra": ""})
        with_it = one.marker is not None and one.marker.evaluate(here | {"extra": extra})
        if not (with_it and not always if extra else always):
            continue
        if one.name == "pellucid":  # an extra that is made of others
            for inner in sorted(one.extras):
                yield from _required(inner)
        else:
            yield one


def _version(name: str) -> str:
    """The version of a package that is installed; empty where it is not."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _fitting(required: Requirement, group: str) -> Finding | None:
    """What is wrong with a required package, if anything is: it is missing, too old, or does not fit torch."""
    version = _version(required.name)
    remedy = f"pip install '{required.name}{required.specifier}'"
    if not version:
        return Finding(group, required.name, "problem", "missing", remedy)
    if not required.specifier.contains(version, prereleases=True):
        return Finding(group, required.name, "problem", f"{version}, but {required.specifier} is needed", remedy)
    for line in metadata.requires(required.name) or []:
        of_torch = Requirement(line)
        if of_torch.name == "torch" and of_torch.marker is None:
            torch = _version("torch").partition("+")[0]
            if torch and not of_torch.specifier.contains(torch, prereleases=True):
                told = f"{version}, which is made for torch {of_torch.specifier} and not for {torch}"
                return Finding(group, required.name, "problem", told, f"pip install --upgrade {required.name} torch")
    return None


def _data() -> Iterator[Finding]:
    from pellucid.data import names

    for one in names():
        if one.place is not None:
            yield Finding("data", one.name, "ok", str(one.place))
        else:
            yield Finding("data", one.name, "optional", one.description, f"pellucid data get {one.name}")
