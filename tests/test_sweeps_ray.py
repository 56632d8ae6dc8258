"""A sweep on a Ray cluster of two nodes, one of which is lost in mid-run."""

import os
import time

import pytest

import gru_dynamics as gd
from gru_dynamics import sweeps
from gru_dynamics.sweeps import _run

# Ray's own sockets and processes, and a fork with JAX's threads around, are not ours to judge.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def cluster(monkeypatch):
    """Two nodes with a processor each; the head has none, so all work is done on the two."""
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    try:
        ray.init(address=cluster.address, log_to_driver=False)
        yield cluster, nodes
    finally:
        ray.shutdown()
        cluster.shutdown()


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.slow
def test_lost_node(cluster, tmp_path, monkeypatch):
    import ray

    family = sweeps.NamedFamily(gd.library.jordan("fig:3a"), ["b_c[0]", "b_c[1]"])
    points = sweeps.Grid({"b_c[0]": (-1.0, 1.0, 50), "b_c[1]": (-1.0, 1.0, 50)})
    sweep = sweeps.Sweep(family, points, sweeps.Search(num_guesses=256, max_points=16), block_size=250)
    alive, written = _run.write_part, []

    def write(*args):
        alive(*args)
        written.append(args[1])
        if len(written) == 3:
            wait_until(lambda: ray.available_resources().get("CPU", 0) == 0)  # both nodes are at work
            cluster[0].remove_node(cluster[1][0], allow_graceful=False)

    monkeypatch.setattr(_run, "write_part", write)
    report = sweeps.run(sweep, tmp_path / "ray", engine="ray", progress=False)
    assert report.computed == tuple(range(10))
    assert sorted(written) == list(range(10))
    assert [node.any_processes_alive() for node in cluster[1]] == [False, True]

    monkeypatch.setattr(_run, "write_part", alive)
    sweeps.run(sweep, tmp_path / "local", progress=False)
    there, here = sweeps.load(tmp_path / "ray").columns, sweeps.load(tmp_path / "local").columns
    assert list(there) == list(here)
    assert all(there[name].dtype == here[name].dtype for name in here)
    assert all(there[name].tobytes() == here[name].tobytes() for name in here)
    assert set(here["complete"]) == {"consistent"}

    family = gd.FunctionFamily(_fails, {}, 0.0)
    broken = sweeps.Sweep(family, sweeps.Grid({"a": (0.0, 1.0, 2)}), sweeps.Search(4, 4))
    with pytest.raises(sweeps.SweepError, match="Ray: a block could not be computed"):
        sweeps.run(broken, tmp_path / "broken", engine="ray", progress=False)
    assert os.listdir(tmp_path / "broken") == ["sweep.json"]


def _fails(_, mu):
    raise RuntimeError("no such system")
