"""Tasks from files: windows of text and piano rolls on small made files, and known numbers on the real ones.

The real files are read where `GRU_DYNAMICS_DATA` or `../shared/data` exists.
"""

import hashlib
import math
import os
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.io

from gru_dynamics import tasks

DATA = Path(os.environ.get("GRU_DYNAMICS_DATA", Path(__file__).parents[2] / "shared" / "data"))
needs_text = pytest.mark.skipif(not (DATA / "ptb_word").is_dir(), reason="no Penn Treebank here")
needs_music = pytest.mark.skipif(not (DATA / "poly_music").is_dir(), reason="no piano rolls here")

LINES = {"train": " a cat sat \n the <unk> sat on N \n", "valid": " the cat \n", "test": " a mat sat \n"}


@eqx.filter_jit
def draw(task, key, step, batch_size):
    return task.batch(key, step, batch_size)


def key(seed):
    return jr.key(seed, impl="rbg")


def at(step):
    return jnp.asarray(step)


@pytest.fixture
def folder(tmp_path):
    for split, text in LINES.items():
        (tmp_path / f"ptb.{split}.txt").write_bytes(text.encode())
    return tmp_path


def numbers(num, window):
    """The text 0, 1, 2, ... whose every symbol is another."""
    vocabulary = tasks.Vocabulary(tuple(map(str, range(num))))
    return tasks.Text(np.arange(num), vocabulary, unit="character", window=window)


# Text --------------------------------------------------------------------------------------------


def test_words(folder):
    train, valid, test = tasks.Text.words(folder, window=3, checksum=None)
    assert train.vocabulary == valid.vocabulary == test.vocabulary
    assert train.vocabulary.symbols == ("a", "cat", "sat", "<eos>", "the", "<unk>", "on", "N", "mat")
    assert (train.num_symbols, valid.num_symbols, test.num_symbols) == (10, 3, 4)
    assert np.asarray(train.symbols)[:10].tolist() == [0, 1, 2, 3, 4, 5, 2, 6, 7, 3]
    assert test.vocabulary.decode(np.asarray(test.symbols)[:4]) == ["a", "mat", "sat", "<eos>"]
    assert train.input_size == train.output_size == 9
    assert train.tokens
    assert train.carries_state


def test_characters(folder):
    train, valid, test = tasks.Text.characters(folder, window=3, checksum=None)
    for split, task in zip(LINES, (train, valid, test), strict=True):
        assert "".join(task.vocabulary.decode(np.asarray(task.symbols)[: task.num_symbols])) == LINES[split]
    assert train.input_size == len(set("".join(LINES.values())))


@pytest.mark.parametrize(("num", "batch_size", "window"), [(30, 3, 4), (31, 3, 3), (5, 1, 7), (4, 2, 1)])
def test_windows(num, batch_size, window):
    """Every step of every row once, in order, the state carried from window to window."""
    task = numbers(num, window)
    steps = task.steps_per_epoch(batch_size)
    row = num // batch_size
    rows = np.arange(batch_size * row).reshape(batch_size, row)
    batches = [draw(task, key(0), at(step), batch_size) for step in range(steps + 1)]
    for batch in batches:
        assert batch.inputs.shape == batch.targets.shape == batch.weights.shape == (batch_size, window)
    assert [bool(batch.start) for batch in batches] == [True] + [False] * (steps - 1) + [True]
    inputs, targets, weights = (
        np.concatenate([getattr(batch, name) for batch in batches[:-1]], axis=1)
        for name in ("inputs", "targets", "weights")
    )
    assert set(np.unique(weights)) <= {0, 1}
    assert (weights[:, : row - 1] == 1).all()
    assert (weights[:, row - 1 :] == 0).all()
    np.testing.assert_array_equal(inputs[:, : row - 1], rows[:, :-1])
    np.testing.assert_array_equal(targets[:, : row - 1], rows[:, 1:])
    np.testing.assert_array_equal(batches[-1].inputs, batches[0].inputs)


def test_text_ignores_the_key_and_is_the_same_eagerly():
    task = numbers(30, 4)
    batch = draw(task, key(0), at(1), 3)
    for other in (draw(task, key(1), at(1), 3), task.batch(key(0), 1, 3)):
        np.testing.assert_array_equal(batch.inputs, other.inputs)
        np.testing.assert_array_equal(batch.weights, other.weights)


def test_text_over_steps():
    task = numbers(30, 4)
    together = eqx.filter_jit(eqx.filter_vmap(draw, in_axes=(None, None, 0, None)))(task, key(0), jnp.arange(3), 3)
    for step in range(3):
        np.testing.assert_array_equal(together.targets[step], draw(task, key(0), at(step), 3).targets)
        assert together.start[step] == (step == 0)


def test_text_loss_and_metrics():
    rng = np.random.default_rng(0)
    symbols, vocabulary = rng.choice(3, 4001, p=[0.5, 0.3, 0.2]), tasks.Vocabulary(("a", "b", "c"))
    words = tasks.Text(symbols, vocabulary, unit="word", window=4000)
    characters = tasks.Text(symbols, vocabulary, unit="character", window=4000)
    batch = draw(words, key(0), at(0), 1)
    share = np.bincount(symbols) / 4001
    outputs = jnp.broadcast_to(jnp.asarray(np.log(share)), (1, 4000, 3))
    loss = words.loss(outputs, batch)
    # All symbols but the first are predicted.
    first = -math.log(share[symbols[0]])
    assert loss == pytest.approx((4001 * words.frequency_entropy - first) / 4000, rel=1e-12)
    assert words.baseline == words.frequency_entropy
    assert words.floor == 0
    by_word, by_character = words.metrics(outputs, batch), characters.metrics(outputs, batch)
    assert by_word == {"cross_entropy": loss, "perplexity": pytest.approx(math.exp(loss))}
    assert by_character == {"cross_entropy": loss, "bits_per_character": pytest.approx(loss / math.log(2))}
    oracle = jnp.asarray(1000 * np.eye(3)[symbols[1:]])[None]
    assert words.loss(oracle, batch) == 0


def test_padding_does_not_count():
    task = numbers(6, 4)
    last = draw(task, key(0), at(1), 1)
    assert last.weights.tolist() == [[1, 0, 0, 0]]
    outputs = jnp.zeros((1, 4, 6)).at[0, 0, 5].set(1000).at[0, 1:, 0].set(-jnp.inf)
    assert task.loss(outputs, last) == 0


def test_vocabulary():
    vocabulary = tasks.Vocabulary(("b", "a"))
    assert vocabulary.encode(["a", "b", "a"]).tolist() == [1, 0, 1]
    assert vocabulary == tasks.Vocabulary(("b", "a"))
    assert hash(vocabulary) == hash(tasks.Vocabulary(("b", "a")))
    assert vocabulary != tasks.Vocabulary(("a", "b"))
    with pytest.raises(tasks.DataError, match=r"expected one of 2 symbols, found 'c'"):
        vocabulary.encode("abc")


@pytest.mark.parametrize(
    ("symbols", "window", "message"),
    [
        ([0], 3, "num_symbols must be at least 2, got 1"),
        ([0, 1, 0], 0, "window must be at least 1, got 0"),
        ([0, 1, 2], 3, r"symbols must lie in 0\.\.1, got 0\.\.2"),
        ([0, -1, 1], 3, r"symbols must lie in 0\.\.1, got -1\.\.1"),
    ],
)
def test_texts_that_are_none(symbols, window, message):
    with pytest.raises(ValueError, match=message):
        tasks.Text(np.asarray(symbols), tasks.Vocabulary(("a", "b")), unit="word", window=window)


def test_too_many_rows():
    with pytest.raises(ValueError, match="5 symbols in 3 rows leave nothing to predict; lower batch_size"):
        numbers(5, 2).steps_per_epoch(3)


# Counting ----------------------------------------------------------------------------------------


def letters(text, vocabulary=tasks.Vocabulary(("a", "b", "c"))):  # noqa: B008
    return tasks.Text(vocabulary.encode(text), vocabulary, unit="character", window=5)


def test_unigram():
    # The first symbol of the test is not predicted; a has 2/4, b and c 1/4.
    nats = tasks.unigram_cross_entropy(letters("aabc"), letters("caab"))
    assert nats == pytest.approx((2 * math.log(2) + math.log(4)) / 3, rel=1e-12)
    assert tasks.unigram_cross_entropy(letters("abab"), letters("abc")) == math.inf


def test_bigram():
    cycle = letters("abc" * 30)
    assert tasks.bigram_cross_entropy(cycle, cycle, cycle) < 1e-4
    # A validation text of unseen pairs leaves the unigram.
    backward = letters("cba" * 30)
    assert tasks.bigram_cross_entropy(cycle, backward, backward) == pytest.approx(math.log(3), abs=1e-4)


def test_bigram_weight():
    """train abab aacb: p(.|a) = (1/4 a, 2/4 b, 1/4 c) and 1/2, 3/8, 1/8 apart; the best share on the validation."""
    train, valid = letters("ababaacb"), letters("abaca")
    pairs = {"ab": 2 / 4, "ba": 2 / 2, "ac": 1 / 4, "ca": 0.0}
    single = {"a": 4 / 8, "b": 3 / 8, "c": 1 / 8}

    def nats(share):
        return -np.mean([np.log(share * p + (1 - share) * single[pair[1]]) for pair, p in pairs.items()])

    best = min(map(nats, np.linspace(0, 1, 10_001)[:-1]))
    assert tasks.bigram_cross_entropy(train, valid, valid) == pytest.approx(best, abs=1e-7)


# Piano rolls -------------------------------------------------------------------------------------

LENGTHS = {"traindata": (3, 6, 2, 5, 4), "validdata": (4,), "testdata": (7, 3)}


def cells(tunes):
    array = np.empty((1, len(tunes)), object)
    for number, tune in enumerate(tunes):
        array[0, number] = tune
    return array


def random_tunes():
    rng = np.random.default_rng(0)
    return {name: [rng.integers(0, 2, (n, 88), np.uint8) for n in lengths] for name, lengths in LENGTHS.items()}


@pytest.fixture
def music(tmp_path):
    path = tmp_path / "tunes.mat"
    scipy.io.savemat(path, {name: cells(tunes) for name, tunes in random_tunes().items()})
    return path


@pytest.mark.parametrize(("split", "name"), [("train", "traindata"), ("valid", "validdata"), ("test", "testdata")])
def test_piano_roll_in_order(music, split, name):
    task, tunes = tasks.PianoRoll(music, split=split, shuffle=False, checksum=None), random_tunes()[name]
    steps = task.steps_per_epoch(2)
    assert steps == -(-len(tunes) // 2)
    seen = []
    for step in range(steps):
        batch = draw(task, key(0), at(step), 2)
        assert batch.inputs.shape == batch.targets.shape == (2, max(map(len, tunes)) - 1, 88)
        assert batch.start
        for inputs, targets, weights in zip(batch.inputs, batch.targets, batch.weights, strict=True):
            seen.append((inputs[weights > 0], targets[weights > 0]))
    for tune, (inputs, targets) in zip(tunes, seen, strict=False):
        np.testing.assert_array_equal(inputs, tune[:-1])
        np.testing.assert_array_equal(targets, tune[1:])
    assert all(len(inputs) == 0 for inputs, _ in seen[len(tunes) :])
    assert not task.tokens
    assert not task.carries_state
    assert task.input_size == task.output_size == 88


def test_piano_roll_shuffled(music):
    """Each epoch shows every tune once, in an order of its own."""
    task = tasks.PianoRoll(music, checksum=None)
    assert task.shuffle

    def epoch(seed, number):
        lengths = [draw(task, key(seed), at(3 * number + step), 2).weights.sum(axis=1) for step in range(3)]
        return np.concatenate(lengths).astype(int).tolist()

    orders = [epoch(seed, number) for seed in range(2) for number in range(3)]
    assert all(sorted(order) == [0, 1, 2, 3, 4, 5] for order in orders)
    assert len(set(map(tuple, orders))) > 3
    assert epoch(0, 0) == orders[0]
    assert not tasks.PianoRoll(music, split="test", checksum=None).shuffle


def test_piano_roll_in_pieces(music):
    """Cut tunes predict each step once; sums over all steps do not change."""
    whole = tasks.PianoRoll(music, shuffle=False, checksum=None)
    pieces = tasks.PianoRoll(music, shuffle=False, max_length=2, checksum=None)
    assert pieces.rolls.shape[1] == 3
    assert np.asarray(pieces.num_steps).tolist() == [2, 2, 2, 1, 1, 2, 2, 2, 1]
    assert pieces.baseline == whole.baseline
    assert tasks.markov_nll(pieces, whole) == tasks.markov_nll(whole, pieces) == tasks.markov_nll(whole, whole)


def test_piano_roll_loss(music):
    task, tunes = tasks.PianoRoll(music, shuffle=False, checksum=None), random_tunes()["traindata"]
    num = len(tunes)
    batch = draw(task, key(0), at(0), num)
    shape = batch.inputs.shape
    assert task.loss(jnp.zeros(shape), batch) == pytest.approx(88 * math.log(2), rel=1e-12)
    targets = np.concatenate([tune[1:] for tune in tunes])
    share = np.clip(targets.mean(axis=0), 1e-12, 1 - 1e-12)
    constant = jnp.broadcast_to(jnp.asarray(np.log(share / (1 - share))), shape)
    assert task.loss(constant, batch) == pytest.approx(task.baseline, rel=1e-9)
    assert task.metrics(constant, batch) == {"nll": task.loss(constant, batch)}
    assert task.loss((batch.targets - 0.5) * 1e4, batch) == task.floor == 0


def test_markov(tmp_path):
    """Key 0 alternates, key 1 is always on, the others never sound."""
    tune = np.zeros((9, 88), np.uint8)
    tune[::2, 0] = tune[:, 1] = 1
    path = tmp_path / "tunes.mat"
    scipy.io.savemat(path, {name: cells([tune]) for name in LENGTHS})
    task = tasks.PianoRoll(path, checksum=None)
    # 4 steps from on and 4 from off, never seen to fail: (4 + 1/2) / (4 + 1); otherwise 8 steps, (8 + 1/2) / (8 + 1).
    expected = -math.log(4.5 / 5) - 87 * math.log(8.5 / 9)
    assert tasks.markov_nll(task, task) == pytest.approx(expected, rel=1e-12)
    assert task.baseline == pytest.approx(math.log(2), rel=1e-12)


# Files that are not what they should be -----------------------------------------------------------


def test_missing_text(tmp_path):
    with pytest.raises(tasks.DataError, match=r"ptb\.train\.txt: expected a data file, found none; .*never downloaded"):
        tasks.Text.words(tmp_path)


def test_directory_instead_of_a_file(tmp_path):
    with pytest.raises(tasks.DataError, match="expected a data file, found a directory"):
        tasks.PianoRoll(tmp_path)


@pytest.mark.parametrize("read", [tasks.Text.words, tasks.Text.characters])
def test_wrong_checksum(folder, read):
    found = hashlib.sha256(LINES["train"].encode()).hexdigest()
    expected = tasks.PTB_CHECKSUMS["ptb.train.txt"]
    with pytest.raises(tasks.DataError, match=rf"ptb\.train\.txt: expected SHA-256 {expected}, found {found}; "):
        read(folder)
    own = {f"ptb.{split}.txt": hashlib.sha256(text.encode()).hexdigest() for split, text in LINES.items()}
    assert len(read(folder, checksum=own)) == 3


def test_not_utf8(folder):
    (folder / "ptb.valid.txt").write_bytes(b"the c\xe9 \n")
    with pytest.raises(tasks.DataError, match=r"ptb\.valid\.txt: expected UTF-8 text, found byte 5"):
        tasks.Text.words(folder, checksum=None)


def test_unknown_music(music):
    with pytest.raises(tasks.DataError, match=r"expected one of JSB_Chorales\.mat.*found 'tunes\.mat'.*checksum=None"):
        tasks.PianoRoll(music)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"traindata": np.ones(3), "other": np.ones(2)}, r"expected the field 'testdata', found other, traindata"),
        ({"testdata": cells([np.ones((4, 87))])}, r"expected testdata\[0\].*found shape \(4, 87\)"),
        ({"testdata": cells([np.ones((4, 88)), np.full((4, 88), 2)])}, r"expected testdata\[1\] of zeros and ones"),
        ({"testdata": cells([np.ones((1, 88))])}, r"at least two rows of 88 keys, found shape \(1, 88\)"),
        ({"testdata": np.zeros((0, 0))}, r"expected tunes in 'testdata', found none"),
        ({"testdata": "chorale"}, r"expected testdata\[0\]"),
    ],
)
def test_other_mat_files(tmp_path, content, message):
    path = tmp_path / "tunes.mat"
    scipy.io.savemat(path, content)
    with pytest.raises(tasks.DataError, match=message) as error:
        tasks.PianoRoll(path, split="test", checksum=None)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"not a mat file", b"MATLAB 5.0" + bytes(200)])
def test_damaged_mat_files(tmp_path, content):
    path = tmp_path / "tunes.mat"
    path.write_bytes(content)
    with pytest.raises(tasks.DataError, match=r"expected a MATLAB 5 file, found one that cannot be read"):
        tasks.PianoRoll(path, checksum=None)


def test_truncated_mat_file(music):
    music.write_bytes(music.read_bytes()[:-300])
    with pytest.raises(tasks.DataError, match=r"tunes\.mat: expected"):
        tasks.PianoRoll(music, split="test", checksum=None)


def test_wrong_options(music):
    with pytest.raises(ValueError, match="max_length must be at least 1, got 0"):
        tasks.PianoRoll(music, max_length=0, checksum=None)
    with pytest.raises((ValueError, TypeError), match="split"):
        tasks.PianoRoll(music, split="dev", checksum=None)  # pyright: ignore[reportArgumentType]


# The real files ----------------------------------------------------------------------------------


@needs_text
def test_treebank_words():
    train, valid, test = tasks.Text.words(DATA / "ptb_word")
    assert (train.num_symbols, valid.num_symbols, test.num_symbols) == (929_589, 73_760, 82_430)
    assert train.input_size == 10_000
    assert round(math.exp(tasks.unigram_cross_entropy(train, test))) == 639
    assert round(math.exp(tasks.bigram_cross_entropy(train, valid, test))) == 209
    assert jax.eval_shape(lambda task: task.batch(key(0), 0, 20), train).inputs.shape == (20, 35)


@needs_text
def test_treebank_characters():
    train, valid, test = tasks.Text.characters(DATA / "ptb_word")
    assert (train.num_symbols, valid.num_symbols, test.num_symbols) == (5_101_618, 399_782, 449_945)
    assert train.input_size == 50
    assert round(tasks.bigram_cross_entropy(train, valid, test) / math.log(2), 2) == 3.31


@needs_music
@pytest.mark.parametrize(("name", "nll"), [("JSB_Chorales", 10.49), ("Nottingham", 5.15)])
def test_markov_of_real_music(name, nll):
    train, test = (tasks.PianoRoll(DATA / "poly_music" / f"{name}.mat", split=split) for split in ("train", "test"))
    assert round(tasks.markov_nll(train, test), 2) == nll
