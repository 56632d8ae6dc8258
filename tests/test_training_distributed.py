"""Training spread over devices and processes: the losses of one device. Each test is a process or two of its own."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

# Arguments: number of processes, number of this one, port, folder. Prints the losses with and without a mesh.
_PROGRAM = """
import json, sys
import jax
count, number, port, out = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
if count > 1:
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"localhost:{port}", count, number)
import jax.random as jr, numpy as np, optax
from gru_dynamics.cells import ScoRNNCell
from gru_dynamics.optim import constrained
from gru_dynamics.tasks import Text, Vocabulary
from gru_dynamics.training import SequenceModel, fit

numbers = np.random.default_rng(0).integers(0, 3, 200)
text = Text(numbers, Vocabulary(("a", "b", "c")), unit="character", window=7)
model = SequenceModel(ScoRNNCell(2, 5, key=jr.key(0)), 3, vocabulary=3, key=jr.key(1))
optim = constrained(optax.adam(1e-2), model)
mesh = jax.make_mesh((jax.device_count(),), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))

def run(**options):
    plan = {"steps": 9, "batch_size": 8, "block": 4, "key": jr.key(2), "validation": text} | options
    trained, log = fit(model, text, optim, **plan)
    return [*np.asarray(log.loss).tolist(), *np.asarray(log.validation["loss"]).tolist()]

found = {"devices": jax.device_count(), "mesh": run(mesh=mesh, out=out)}
found["resumed"] = run(mesh=mesh, out=out, steps=11, resume=True)[9:11]
if count == 1:
    found["alone"] = run()
    found["longer"] = run(steps=11)[9:11]
print(json.dumps(found))
"""


def _start(count, number, port, devices, out):
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "JAX_ENABLE_X64": "1",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
    }
    words = [sys.executable, "-c", _PROGRAM, str(count), str(number), str(port), str(out)]
    return subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _finish(process):
    try:
        out, err = process.communicate(timeout=240)
    finally:
        process.kill()
    assert process.returncode == 0, err
    return json.loads(out.splitlines()[-1])


@pytest.fixture(scope="module")
def four_devices(tmp_path_factory):
    return _finish(_start(1, 0, 0, 4, tmp_path_factory.mktemp("local")))


def test_mesh_is_one_device(four_devices):
    assert four_devices["devices"] == 4
    np.testing.assert_allclose(four_devices["mesh"], four_devices["alone"], rtol=1e-10)
    np.testing.assert_allclose(four_devices["resumed"], four_devices["longer"], rtol=1e-10)


@pytest.mark.slow
def test_two_processes_are_one(four_devices, tmp_path):
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    pair = [_start(2, number, port, 2, tmp_path) for number in (0, 1)]
    for found in [_finish(process) for process in pair]:
        assert found["devices"] == 4
        np.testing.assert_allclose(found["mesh"], four_devices["alone"], rtol=1e-10)
        np.testing.assert_allclose(found["resumed"], four_devices["longer"], rtol=1e-10)
    # Only the first process writes.
    assert sorted(file.name for file in tmp_path.iterdir()) == ["checkpoint.safetensors", "log.jsonl"]
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "loss" in row] == list(range(1, 12))
