"""What a sweep survives: a kill, other shards, other devices, damaged parts; and what it refuses."""

import concurrent.futures
import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from gru_dynamics import sweeps
from gru_dynamics.sweeps import _files, _folder, _parts

NUM_BLOCKS = 10

# What the killed process and the test run alike.
_STUDY = """
import jax
import gru_dynamics as gd
from gru_dynamics import sweeps

def study(block_size=8):
    family = sweeps.NamedFamily(gd.CellMap(gd.ElmanCell(0, 1, key=jax.random.key(0))), ["U[0,0]", "b[0]"])
    points = sweeps.Sobol({"U[0,0]": (-1.0, 4.0), "b[0]": (-1.0, 1.0)}, num=77)
    return sweeps.Sweep(family, points, sweeps.Search(num_guesses=8, max_points=4), block_size=block_size)
"""

# The process dies by SIGKILL inside the writing of its fifth part, half of which is on disk.
_KILLED = """
import os, signal, sys
from gru_dynamics.sweeps import _run

def dying(folder, block, columns, fingerprint, written=[]):
    if len(written) == 4:
        def die(handle):
            os.truncate(handle, os.fstat(handle).st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        os.fsync = die
    written.append(block)
    alive(folder, block, columns, fingerprint)

alive, _run.write_part = _run.write_part, dying
"""

_NAMES: dict = {}
exec(_STUDY, _NAMES)
study = _NAMES["study"]


def same(a, b):
    """Bit for bit."""
    assert list(a) == list(b)
    for name in a:
        assert a[name].dtype == b[name].dtype, name
        assert a[name].tobytes() == b[name].tobytes(), name


@pytest.fixture(scope="module")
def sweep():
    return study()


@pytest.fixture(scope="module")
def whole(sweep, tmp_path_factory):
    """A folder and its table after an uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole")
    report = sweeps.run(sweep, folder, progress=False)
    assert report.computed == tuple(range(NUM_BLOCKS))
    return folder, sweeps.load(folder)


@pytest.fixture
def copy(whole, tmp_path):
    """A copy of the finished folder, to be harmed."""
    return Path(shutil.copytree(whole[0], tmp_path / "copy"))


# Interruption ------------------------------------------------------------------------------------


def test_kill_and_resume_as_other_shards(sweep, whole, tmp_path):
    """Killed with kill -9 on two devices as one shard; continued on one device as three: the same table."""
    folder = tmp_path / "killed"
    script = f"{_STUDY}\n{_KILLED}\n_run.run(study(), sys.argv[1], progress=False)\n"
    environment = {**os.environ, "JAX_ENABLE_X64": "1", "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    run = subprocess.run(
        [sys.executable, "-c", script, str(folder)], env=environment, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == -signal.SIGKILL, run.stderr
    assert len(list(folder.glob("part-*.parquet"))) == 4
    scratch = list(folder.glob(".tmp-part-*"))
    assert len(scratch) == 1  # the half-written fifth
    partial = sweeps.load(folder)
    assert len(partial.missing) == NUM_BLOCKS - 4
    assert partial.damaged == ()
    reports = [sweeps.run(sweep, folder, shard=(shard, 3), progress=False) for shard in (2, 0, 1)]
    assert sum(len(report.found) for report in reports) == 4
    assert sum(len(report.computed) for report in reports) == NUM_BLOCKS - 4
    same(sweeps.load(folder).columns, whole[1].columns)
    assert scratch[0].exists()  # it might be another's
    os.utime(scratch[0], (time.time() - 1e6,) * 2)
    sweeps.run(sweep, folder, progress=False)
    assert not scratch[0].exists()


def _truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def _empty(path):
    path.write_bytes(b"")


def _flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 8] ^= 0xFF
    path.write_bytes(data)


def _swap(path):
    shutil.copy(path.with_name("part-000002.parquet"), path)


@pytest.mark.parametrize("harm", [_truncate, _empty, _flip, _swap])
def test_damaged_part_is_reported_and_computed_again(sweep, whole, copy, harm):
    harm(copy / "part-000004.parquet")
    before = sweeps.load(copy)
    assert before.missing == before.damaged == (4,)
    assert len(before["row"]) == 77 - 8
    with pytest.warns(UserWarning, match=r"part-000004\.parquet: .*computing it again"):
        report = sweeps.run(sweep, copy, progress=False)
    assert report.computed == report.repaired == (4,)
    same(sweeps.load(copy).columns, whole[1].columns)


# Another sweep -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda s: study(block_size=9), r"block_size: 8 there, 9 here"),
        (lambda s: eqx.tree_at(lambda s: s.seed, s, 1), r"seed: 0 there, 1 here"),
        (lambda s: eqx.tree_at(lambda s: s.dtype, s, "float32"), r"dtype: float64 there, float32 here"),
        (lambda s: eqx.tree_at(lambda s: s.points.num, s, 76), r"points\.num: 77 there, 76 here"),
        (lambda s: eqx.tree_at(lambda s: s.analysis, s, sweeps.Search(9, 4)), r"analysis\.num_guesses: 8 there, 9"),
        (lambda s: eqx.tree_at(lambda s: s.family.system.cell.U, s, jnp.ones((1, 1))), r"family\.system\.cell\.U: "),
    ],
)
def test_another_sweep_is_refused(sweep, copy, change, match):
    before = {path: path.read_bytes() for path in copy.iterdir()}
    with pytest.raises(sweeps.SweepError, match=match):
        sweeps.run(change(sweep), copy, progress=False)
    assert {path: path.read_bytes() for path in copy.iterdir()} == before


@pytest.mark.parametrize(
    ("name", "refused"), [("jax", True), ("gru_dynamics", True), ("backend", True), ("numpy", False)]
)
def test_other_versions(sweep, copy, name, refused):
    path = copy / "sweep.json"
    record = json.loads(path.read_text())
    record["versions"][name] = "0.0"
    path.write_text(json.dumps(record))
    if refused:
        with pytest.raises(sweeps.SweepError, match=f"{name} 0.0 there"):
            sweeps.run(sweep, copy, progress=False)
    else:
        assert sweeps.run(sweep, copy, progress=False).computed == ()


@pytest.mark.parametrize(("text", "match"), [("{", "unreadable"), ("[]", "format 1"), ('{"format": 7}', "found 7")])
def test_unreadable_description(sweep, copy, text, match):
    (copy / "sweep.json").write_text(text)
    with pytest.raises(sweeps.SweepError, match=match):
        sweeps.run(sweep, copy, progress=False)


def test_parts_of_another_sweep_do_not_count(sweep, copy, tmp_path):
    """As after a race for `sweep.json` on a file system without hard links; even the rows are the same here."""
    other = eqx.tree_at(lambda s: s.seed, sweep, 1)
    sweeps.run(other, tmp_path / "other", progress=False)
    shutil.copy(tmp_path / "other/part-000001.parquet", copy / "part-000001.parquet")
    assert sweeps.load(copy).damaged == (1,)


def test_parameters_of_a_part_are_compared(sweep, whole, copy):
    """A part that bears all the right names and holds other parameters, as after a change of `Sobol` in SciPy."""
    columns = sweeps.run_block(sweep, 3)
    columns["b[0]"][2] = np.nextafter(columns["b[0]"][2], 2)
    fingerprint = json.loads((copy / "sweep.json").read_text())["fingerprint"]
    _parts.write_part(copy, 3, columns, fingerprint)
    with pytest.warns(UserWarning, match=r"its column b\[0\] is not that of this block"):
        sweeps.run(sweep, copy, progress=False)
    same(sweeps.load(copy).columns, whole[1].columns)


@pytest.mark.parametrize("links", [True, False])
def test_many_claim_one_folder(sweep, tmp_path, monkeypatch, links):
    """Of shards that begin at the same time all agree, and those of another sweep are turned away."""
    if not links:
        monkeypatch.setattr(_files.os, "link", _raising(errno.EPERM))
    wanted = [sweep, study(block_size=9)] if links else [sweep]

    def claim(number):
        try:
            return _folder.claim(tmp_path / "shared", wanted[number % len(wanted)])
        except sweeps.SweepError as error:
            return str(error)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(claim, range(32)))
    mine = json.loads((tmp_path / "shared/sweep.json").read_text())["fingerprint"]
    assert answers.count(mine) == 32 // len(wanted)
    assert all("holds another sweep" in answer for answer in answers if answer != mine)
    assert [path.name for path in (tmp_path / "shared").iterdir()] == ["sweep.json"]


def test_the_first_writer_wins(tmp_path):
    path = tmp_path / "file"
    assert _files.write_whole(path, lambda file: file.write(b"first"), replace=False)
    assert not _files.write_whole(path, lambda file: file.write(b"second"), replace=False)
    assert path.read_bytes() == b"first"
    assert _files.write_whole(path, lambda file: file.write(b"third"))
    assert path.read_bytes() == b"third"
    with pytest.raises(TypeError):
        _files.write_whole(path, lambda file: file.write(4))
    assert path.read_bytes() == b"third"
    assert list(tmp_path.iterdir()) == [path]


# Where nothing can be written --------------------------------------------------------------------


def _raising(code):
    def function(*_, **__):
        raise OSError(code, os.strerror(code))

    return function


def test_disk_full(sweep, whole, tmp_path, monkeypatch):
    """The third part finds no room: two are kept, nothing half-written is left, and the run goes on later."""
    real, written = _files.os.fsync, []

    def full(handle):
        written.append(handle)
        if len(written) > 2 * (1 + 2):  # a file and its folder each: sweep.json and two parts
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr(_files.os, "fsync", full)
    with pytest.raises(sweeps.SweepError, match=r"part-000002\.parquet: .*No space left.*2 blocks .* are kept.*again"):
        sweeps.run(sweep, tmp_path / "full", progress=False)
    monkeypatch.setattr(_files.os, "fsync", real)
    assert sorted(path.name for path in (tmp_path / "full").iterdir()) == [
        "part-000000.parquet",
        "part-000001.parquet",
        "sweep.json",
    ]
    report = sweeps.run(sweep, tmp_path / "full", progress=False)
    assert report.found == (0, 1)
    same(sweeps.load(tmp_path / "full").columns, whole[1].columns)


def test_no_file_may_grow(sweep, tmp_path):
    """A limit of the system itself: files may have 2000 bytes, so `sweep.json` fits and no part does."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, old[1]))
    try:
        with pytest.raises(sweeps.SweepError, match=r"part-000000\.parquet: cannot be written .*File too large"):
            sweeps.run(sweep, tmp_path / "small", progress=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert [path.name for path in (tmp_path / "small").iterdir()] == ["sweep.json"]
    assert sweeps.run(sweep, tmp_path / "small", progress=False).computed == tuple(range(NUM_BLOCKS))


@pytest.mark.parametrize("where", ["/proc/nowhere/sweep", "read-only", "erofs"])
def test_read_only(sweep, tmp_path, monkeypatch, where):
    folder = Path(where) if where.startswith("/") else tmp_path / where
    if where == "read-only":
        if os.geteuid() == 0:
            pytest.skip("root may write everywhere")
        folder.mkdir(mode=0o500)
    if where == "erofs":
        monkeypatch.setattr(_files, "open", _raising(errno.EROFS), raising=False)
    with pytest.raises(sweeps.SweepError, match="must be writable"):
        sweeps.run(sweep, folder, progress=False)
    assert not folder.exists() or list(folder.iterdir()) == []


def test_unreadable_part(sweep, copy, monkeypatch):
    """What cannot be read now is not thrown away."""
    monkeypatch.setattr(Path, "read_bytes", _raising(errno.EIO))
    with pytest.raises(sweeps.SweepError, match="cannot be read"):
        sweeps.run(sweep, copy, progress=False)


# Extras ------------------------------------------------------------------------------------------


def test_without_pyarrow(sweep, copy, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    for attempt in (lambda: sweeps.run(sweep, tmp_path / "new", progress=False), lambda: sweeps.load(copy)):
        with pytest.raises(sweeps.SweepError, match=r"pip install 'gru_dynamics\[sweep\]'"):
            attempt()
    assert not (tmp_path / "new").exists()
    assert len(sweeps.run_block(sweep, 0)["row"]) == 8


def test_without_ray(sweep, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(sweeps.SweepError, match=r"pip install 'gru_dynamics\[ray\]'"):
        sweeps.run(sweep, tmp_path / "new", engine="ray", progress=False)


def test_row_counts_of_the_study(whole):
    """The table that all others are compared with is right: a cusp that opens at U = 1."""
    table = whole[1]
    w, b = table["U[0,0]"], table["b[0]"]
    h = np.sqrt(np.clip(1 - 1 / w, 0, None), where=w > 1, out=np.zeros_like(w))
    three = (w > 1) & (np.abs(b) < w * h - np.arctanh(h))
    np.testing.assert_array_equal(table["count"], np.where(three, 3, 1))
