"""Kanai, Fujiwara, Iwamura (2017): tables 1 to 4 of the supplement, measured beside printed."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..tasks import MUSIC_CHECKSUMS, PTB_CHECKSUMS, PianoRoll, Text, Vocabulary
from ._kanai_judge import CRITERION, Share, finished, share
from ._kanai_page import Story, Table, number, write
from ._kanai_printed import MEAN_NORM, Data, Entry, entries
from ._kanai_train import Family, Runs, Setting, train
from ._options import Options

Say = Callable[[str], None]

_TITLE = "Tables 1 to 4 of the supplement, measured beside printed"
_LEDE = (
    "Penn Treebank by words and Nottingham's piano rolls: a gated recurrent unit without biases, trained with its "
    "recurrent matrix kept in a spectral ball (P_delta), or with a clipped gradient."
)
_CAPTION = (
    "Measured against printed, each point a row of a table: perplexity (A) and negative log-likelihood (B); whiskers, "
    "standard deviation over the seeds. Runs that failed are left out."
)
_COLUMNS = ("setting", "constraint", "printed", "measured", "printed success", "measured success (95 %)")
_NAMES = {
    1: "Table 1: words, perplexity of the validation",
    2: "Table 2: words, SGD at rate 0.1",
    3: "Table 3: music, negative log-likelihood of the validation",
    4: "Table 4: words, entries of the gradient clipped",
}
_WORDS = (
    "The supplement does not print the networks; here they are one layer without biases and, at full scale, the medium "
    "size of Zaremba et al. (2014): 650 units, 35 steps, dropout 0.5.",
    "The gradient is that of the loss summed over the steps of a window, averaged over the batch; the mean norms that "
    "the supplement gives, after which it chose the thresholds, stand beside ours.",
)


def settings(options: Options) -> dict[Data, Setting]:
    """What is trained on, from the files in the folder of the data."""
    music = options.file("Nottingham.mat", "poly_music")
    texts = options.file("ptb.train.txt", "ptb_word").parent
    if options.scale == "small":
        words = _few_words(*Text.words(texts, checksum=PTB_CHECKSUMS)[:2])
        rolls = _rolls(music, 25)
        return {
            "words": Setting(*words, 48, 10, steps=200, checks=4, epoch=10, summed=words[0].window),
            "music": Setting(*rolls, 48, 8, steps=120, checks=4, epoch=10, summed=25),
        }
    words = Text.words(texts, window=35)[:2]
    rolls = _rolls(music, 200)
    epoch = words[0].steps_per_epoch(20)
    tunes = rolls[0].steps_per_epoch(20)
    return {
        "words": Setting(*words, 650, 20, 60 * epoch, 60, epoch, summed=35, dropout=0.5),
        "music": Setting(*rolls, 200, 20, 300 * tunes, 300, tunes, summed=200),
    }


def kanai_tables(folder: Path, say: Say, options: Options) -> tuple[tuple[str, ...], str, dict[str, Any]]:
    """The whole reproduction; see `reproduce`."""
    return report(folder, measure(say, settings(options), entries(), options), options)


def measure(
    say: Say, shared: dict[Data, Setting], wanted: list[Entry], options: Options
) -> list[tuple[list[Entry], Setting, Runs]]:
    """A program for each optimiser and data set: the entries, what their runs share, and the runs."""
    programs: dict[tuple[Data, Family], list[Entry]] = {}
    for entry in wanted:
        programs.setdefault((entry.data, entry.family), []).append(entry)
    found = []
    for (data, family), own in programs.items():
        say(data)
        arms = [entry.arm for entry in own]
        found.append((own, shared[data], train(shared[data], family, arms, options.seeds, say)))
    return found


def report(
    folder: Path, found: list[tuple[list[Entry], Setting, Runs]], options: Options
) -> tuple[tuple[str, ...], str, dict[str, Any]]:
    """Judge and write."""
    rows = [_measured(entry, runs, i, setting) for own, setting, runs in found for i, entry in enumerate(own)]
    rows.sort(key=lambda row: row["table"])
    lines = [*summary(rows), *_scale_words(options.scale)]
    texts = tuple(
        Table(name, _WORDS if table == 1 else (), _COLUMNS, tuple(_texts(row) for row in rows if row["table"] == table))
        for table, name in _NAMES.items()
        if any(row["table"] == table for row in rows)
    )
    facts: dict[str, Any] = {"scale": options.scale, "seeds": options.seeds, "criterion": CRITERION}
    for own, setting, _ in found:
        facts[own[0].data] = {
            "hidden_size": setting.hidden_size,
            "batch_size": setting.batch_size,
            "steps": setting.steps,
            "steps_in_an_epoch": setting.epoch,
            "steps_of_a_window": setting.summed,
            "dropout": setting.dropout,
            "outcomes": setting.train.output_size,
            "loss_of_frequencies": setting.train.baseline,
        }
    kinds = (True, "came through, P_delta"), (False, "came through, clipped")
    tiles = []
    for ball, words in kinds:
        own = [row for row in rows if (row["delta"] is not None) == ball]
        tiles.append((f"{sum(row['finished'] for row in own)}/{sum(row['num'] for row in own)}", words))
    story = Story("kanai-tables", _TITLE, _LEDE, tiles, lines, texts, draw(rows), _CAPTION)
    return write(folder, story, facts, {"tables": rows})


def summary(rows: list[dict[str, Any]]) -> list[str]:
    """What holds of what is printed, a sentence each."""
    lines = []
    for table in sorted({row["table"] for row in rows} & {1, 3}):
        pairs = _pairs([row for row in rows if row["table"] == table])
        same = sum(_lower(ball, clip, "measured") == _lower(ball, clip, "printed") for ball, clip in pairs)
        wins = sum(_lower(ball, clip, "measured") for ball, clip in pairs)
        printed = sum(_lower(ball, clip, "printed") for ball, clip in pairs)
        lines.append(
            f"Table {table}: P_0.2 is better than clipping in {wins} of {len(pairs)} settings, printed {printed}; "
            f"{same} of {len(pairs)} comparisons come out as printed."
        )
    for table, words in ((2, "P_delta"), (2, "clipping"), (4, "clipping of entries")):
        own = [row for row in rows if row["table"] == table and (row["delta"] is not None) == (words == "P_delta")]
        if own:
            got = f"{sum(row['finished'] for row in own)} of {sum(row['num'] for row in own)}"
            said = ", ".join(f"{row['printed_success']}" for row in own)
            lines.append(f"Table {table}, {words}: {got} runs came through; printed success {said} %.")
    balls = [row for row in rows if row["delta"] is not None]
    if balls:
        lines.append(f"rho(J(0)) with P_delta is at most {max(row['rho'] for row in balls):.4f} at every check.")
    for data in dict.fromkeys(row["data"] for row in rows):
        norms = [row["gradient_norm"] for row in rows if row["data"] == data and row["gradient_norm"] is not None]
        if norms:
            lines.append(
                f"Mean norm of the gradient, {data}: median over the settings {np.median(norms):.3g}, printed "
                f"{MEAN_NORM[data]:g}."
            )
    return lines


def draw(rows: list[dict[str, Any]]) -> Figure:
    """Measured against printed."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    for ax, letter, data in zip(figure.subplots(1, 2), "AB", ("words", "music"), strict=True):
        for ball, colour, marker, name in ((True, "#0072b2", "o", "P_delta"), (False, "#d55e00", "s", "clipping")):
            own = [
                row
                for row in rows
                if row["data"] == data
                and (row["delta"] is not None) == ball
                and None not in (row["printed"], row["measured"])
            ]
            x, y, error = ([row[name] for row in own] for name in ("printed", "measured", "deviation"))
            ax.errorbar(x, y, yerr=error, fmt=marker, color=colour, markersize=5, elinewidth=0.8, label=name)
        ax.set_title(letter, loc="left", fontweight="bold")
        ax.set_xlabel("printed")
        ax.set_ylabel("measured")
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False, fontsize="small")
    return figure


def _measured(entry: Entry, runs: Runs, i: int, setting: Setting) -> dict[str, Any]:
    words = entry.data == "words"
    uniform = math.log(setting.valid.output_size) if words else setting.valid.output_size * math.log(2)
    success = finished(runs.valid[i], runs.failed[i], uniform)
    lowest = np.min(runs.valid[i][success], axis=-1)
    values = np.exp(lowest) if words else lowest
    norms = runs.grad_norm[i][np.isfinite(runs.grad_norm[i])]
    return {
        "table": entry.table,
        "data": entry.data,
        "setting": entry.method,
        "constraint": entry.arm.name,
        "delta": entry.arm.delta,
        "printed": entry.printed,
        "measured": float(values.mean()) if values.size else None,
        "deviation": float(values.std(ddof=1)) if values.size > 1 else 0.0,
        "values": [float(value) for value in values],
        "printed_success": entry.success,
        **share(success)._asdict(),
        "sigma": float(runs.sigma[i].max()),
        "rho": float(runs.rho[i].max()),
        "gradient_norm": float(norms.mean()) if norms.size else None,
    }


def _pairs(rows: list[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Rows with P and with clipping of the same setting."""
    by_setting: dict[str, dict[bool, dict[str, Any]]] = {}
    for row in rows:
        by_setting.setdefault(row["setting"], {})[row["delta"] is not None] = row
    return [(both[True], both[False]) for both in by_setting.values() if len(both) == 2]


def _lower(ball: Mapping[str, Any], clip: Mapping[str, Any], name: str) -> bool:
    """Whether P has the lower number; nothing is higher than any."""
    first, second = (math.inf if row[name] is None else row[name] for row in (ball, clip))
    return first < second


def _texts(row: Mapping[str, Any]) -> tuple[str, ...]:
    measured = "N/A" if row["measured"] is None else f"{number(row['measured'], 4)} ± {number(row['deviation'], 2)}"
    success = "" if row["printed_success"] is None else f"{row['printed_success']} %"
    printed = "N/A" if row["printed"] is None else f"{row['printed']:g}"
    held = Share(*(row[name] for name in Share._fields))
    return (row["setting"], row["constraint"], printed, measured, success, held.text())


def _scale_words(scale: str) -> tuple[str, ...]:
    if scale == "paper":
        return ()
    return (
        "At this scale the networks are small, a few hundred steps long, and words outside the 500 most frequent are "
        "one word: perplexities are not comparable with those printed, comparisons within a table are.",
    )


def _few_words(
    train: Text, valid: Text, *, num: int = 500, length: int = 100_000, window: int = 35
) -> tuple[Text, Text]:
    """The begin of both texts with the most frequent words; all others are `<unk>`."""
    symbols = train.vocabulary.symbols
    counts = np.bincount(np.asarray(train.symbols)[: train.num_symbols], minlength=len(symbols))
    order = np.argsort(-counts, kind="stable")
    unknown = train.vocabulary.index["<unk>"]
    kept = [unknown, *(int(word) for word in order if word != unknown)][:num]
    new = np.zeros(len(symbols), np.int32)
    new[kept] = np.arange(len(kept), dtype=np.int32)
    vocabulary = Vocabulary(tuple(symbols[word] for word in kept))

    def part(text: Text, length: int) -> Text:
        return Text(
            new[np.asarray(text.symbols)[: min(length, text.num_symbols)]], vocabulary, unit="word", window=window
        )

    return part(train, length), part(valid, length // 20)


def _rolls(path: Path, length: int) -> tuple[PianoRoll, PianoRoll]:
    train = PianoRoll(path, max_length=length, checksum=MUSIC_CHECKSUMS)
    valid = PianoRoll(path, split="valid", max_length=length, checksum=MUSIC_CHECKSUMS)
    return train, valid
