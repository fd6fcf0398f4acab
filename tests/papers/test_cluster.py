"""A table's networks on a Ray cluster: two machines of one computer, one of which may be lost."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from types import ModuleType

import pyarrow.parquet as pq
import pytest

from pellucid.core.errors import InputError
from pellucid.papers.cluster import done_on_cluster
from pellucid.papers.plan import Reproduction

CLUSTER = """
import subprocess, sys, time
from pathlib import Path

import ray
from ray.cluster_utils import Cluster
from pellucid.core.errors import InputError
from pellucid.papers.cluster import done_on_cluster

small = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
cluster = Cluster(initialize_head=True, head_node_args={**small, "include_dashboard": False})
second = cluster.add_node(**small)
"""
MACHINES = (
    CLUSTER
    + """
folder = Path(sys.argv[1])

def work(piece, threads):
    import ray
    if piece == "wrong":
        raise InputError("the piece is wrong")
    node = ray.get_runtime_context().get_node_id()
    (folder / f"{piece}-{node}").touch()
    time.sleep(1)
    (folder / str(piece)).write_text(str(threads))

for piece in done_on_cluster(work, range(4), cluster.address, 1):
    print("done", piece)
print("machines", len({name.name.split("-")[1] for name in folder.glob("*-*")}))
lost = False
for piece in done_on_cluster(work, range(4, 10), cluster.address, 1):
    print("done", piece)
    if not lost:
        cluster.remove_node(second, allow_graceful=False)
        lost = True
try:
    list(done_on_cluster(work, ["wrong"], cluster.address, 1))
except InputError as error:
    print("told:", error)
cluster.shutdown()
"""
)
REPRODUCE = (
    CLUSTER
    + """
command = "reproduce ismail2021 --scale smoke --seeds 1 --out runs --results results --cluster"
done = subprocess.run([sys.executable, "-m", "pellucid", *command.split(), cluster.address])
cluster.shutdown()
sys.exit(done.returncode)
"""
)


def ran(code, folder, *words):
    if importlib.util.find_spec("ray") is None:
        (pytest.fail if "CI" in os.environ else pytest.skip)("NO RAY: clusters are untested; install pellucid[ray]")
    (folder / "script.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "script.py", *words], cwd=folder, capture_output=True, text=True, timeout=500,
        env=os.environ | {"RAY_USAGE_STATS_ENABLED": "0"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_two_machines_share_the_work_and_one_may_be_lost(tmp_path) -> None:
    (tmp_path / "done").mkdir()
    said = ran(MACHINES, tmp_path, str(tmp_path / "done"))
    assert sorted(map(int, re.findall(r"done (\d+)", said))) == [*range(10)]
    assert "machines 2" in said and "told: the piece is wrong" in said
    assert [(tmp_path / "done" / str(piece)).read_text() for piece in range(10)] == ["1"] * 10


@pytest.mark.slow
def test_a_table_is_reproduced_by_a_cluster(tmp_path) -> None:
    said = ran(REPRODUCE, tmp_path)
    (file,) = (tmp_path / "results").glob("*.json")
    assert said.split() == [str(file.relative_to(tmp_path).with_suffix(".md"))]
    runs = sorted((tmp_path / "runs").glob("**/rows.parquet"))
    assert len(runs) == len(json.loads(file.read_text())["measured"])
    assert all(pq.read_table(run).num_rows for run in runs)
    assert "--cluster" not in json.loads(file.read_text())["command"], "an address stays here"


def test_without_ray_it_is_one_sentence(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"a cluster needs the package ray.*pip install 'pellucid\[ray\]'"):
        list(done_on_cluster(lambda piece, threads: None, [1], "auto", 1))


def test_devices_are_those_of_one_machine(monkeypatch) -> None:
    with pytest.raises(InputError, match=r"got devices \(0,\) and the cluster 'auto'"):
        Reproduction(paper="xu2023", devices=(0,), cluster="auto")


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9", "localhost:99999"])
def test_where_no_cluster_is_it_is_one_sentence(monkeypatch, address) -> None:
    monkeypatch.setitem(sys.modules, "ray", ModuleType("ray"))  # it is not asked before the address is tried
    with pytest.raises(InputError, match=f"there is no Ray cluster at '{address}': "):
        list(done_on_cluster(lambda piece, threads: None, [1], address, 1))
