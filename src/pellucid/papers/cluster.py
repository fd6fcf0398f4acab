"""A table's networks trained on the machines of a Ray cluster. Ray is imported only where a cluster is named."""

import logging
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from pellucid.core.errors import InputError

__all__ = ["done_on_cluster"]

Work = TypeVar("Work")


def done_on_cluster(
    work: Callable[[Work, int], None], pieces: Sequence[Work], address: str, jobs: int
) -> Iterator[Work]:
    """Each piece of work once a machine of a cluster has done it; one whose machine was lost is done again elsewhere.

    Args:
        work: of a piece and the number of threads that it may use; it continues what an earlier try has left, in a
            folder that all machines share.
        pieces: what is to be done.
        address: of the cluster, such as ``10.0.0.1:6379``, or ``auto`` on one of its machines.
        jobs: pieces at once on each machine, each with its share of the cores, and with a GPU where every machine has
            one.

    Raises:
        InputError: Ray is not installed, or there is no cluster at the address.
    """
    ray = _connected(address)
    try:
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        threads = max(1, int(min(one.get("CPU", 0) for one in machines)) // jobs)
        gpus = int(all(one.get("GPU", 0) for one in machines))
        remote = ray.remote(num_cpus=threads, num_gpus=gpus, max_retries=3)(_told)
        left = iter(pieces)
        # A few more than are at work, so that no machine waits for this one.
        waiting = {remote.remote(work, piece, threads): piece for piece in islice(left, 2 * jobs * len(machines))}
        while waiting:
            (ready,), _ = ray.wait([*waiting], num_returns=1)
            mistake = _result(ray, ready)
            if mistake is not None:
                raise InputError(mistake)
            piece = waiting.pop(ready)
            waiting |= {remote.remote(work, another, threads): another for another in islice(left, 1)}
            yield piece
    finally:
        ray.shutdown()  # ends what is still at work; each training keeps where it stands


def _connected(address: str) -> Any:
    try:
        import ray
    except ImportError:
        raise InputError("a cluster needs the package ray, which is not here; pip install 'pellucid[ray]'") from None
    host, _, port = address.rpartition(":")
    if host and port.isdigit():  # Ray itself would try for two minutes
        try:
            socket.create_connection((host.rpartition("/")[2].strip("[]"), int(port)), timeout=10).close()
        except (OSError, OverflowError) as error:
            raise InputError(f"there is no Ray cluster at {address!r}: {error}") from None
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # a task without a GPU keeps its environment
    try:
        # The machines import what this process can, wherever it was found.
        path = {"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, runtime_env={"env_vars": path})
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"there is no Ray cluster at {address!r}: {reason}") from None
    return ray


def _told(work: Callable[[Any, int], None], piece: Any, threads: int) -> str | None:
    """Do a piece of work on another machine; a user's mistake comes back as its sentence."""
    try:
        work(piece, threads)
    except InputError as error:
        return str(error)
    return None


def _result(ray: Any, ready: Any) -> str | None:
    """What a piece of work came to: nothing, or the sentence of a mistake."""
    try:
        sentence: str | None = ray.get(ready)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        return (
            f"a machine of the cluster was lost three times ({type(error).__name__}); the same command given again "
            "continues"
        )
    return sentence
