"""Tables 5 and 6 of Mucllari et al. (2022): language modelling, as printed and small."""

from ..tasks import Text
from ..training import Dropout
from ._nc_gru_columns import GRU, LSTM, SCO, C, Claim, Column
from ._nc_gru_run import Network, Setting
from ._options import Options


def table_5(options: Options) -> list[Column]:
    """Penn Treebank as characters."""
    folder = options.file("ptb.train.txt", "ptb_word").parent
    return [characters(Text.characters(folder, window=50 if options.scale == "small" else 100), options)]


def characters(texts: tuple[Text, Text, Text], options: Options) -> Column:
    """Table 5 on these texts."""
    printed = {LSTM: 1.4, GRU: 1.455, SCO: 1.6, C: 1.385}
    claim = Claim("NC-GRU is below scoRNN, GRU and LSTM", "section 4.5", (C,), (LSTM, GRU, SCO))
    sizes = {LSTM: (350, 880, 350), GRU: (415, 950, 415), SCO: (500, 2000, 500), C: (430, 1000, 430)}
    rows, small = _text_rows(sizes, options), options.scale == "small"
    steps = 300 if small else 20 * texts[0].steps_per_epoch(32)
    setting = Setting(
        texts[0], rows, steps, 32, 2e-3 if small else 5e-4, 2e-3 if small else 5e-4,
        dropout=0.0 if small else 0.15, embedding=64 if small else 430, valid=texts[1], test=texts[2],
        metric="bits_per_character",
    )  # fmt: skip
    return Column("characters", setting, printed, (claim,))


def table_6(options: Options) -> list[Column]:
    """Penn Treebank as words."""
    folder = options.file("ptb.train.txt", "ptb_word").parent
    return [words(Text.words(folder, window=20 if options.scale == "small" else 70), options)]


def words(texts: tuple[Text, Text, Text], options: Options) -> Column:
    """Table 6 on these texts."""
    printed = {LSTM: 78.93, GRU: 80.73, SCO: 123.90, C: 77.00}
    claim = Claim("NC-GRU is below GRU and LSTM", "section 4.6", (C,), (LSTM, GRU))
    sizes = {LSTM: (350, 1000, 350), GRU: (400, 1100, 400), SCO: (450, 2000, 450), C: (400, 1150, 400)}
    rows, small = _text_rows(sizes, options), options.scale == "small"
    steps = 150 if small else 40 * texts[0].steps_per_epoch(20)
    setting = Setting(
        texts[0], rows, steps, 20, 5e-3 if small else 5e-4, 5e-3 if small else 5e-4,
        dropout=0.0 if small else Dropout(0.4, 0.4, 0.25), embedding=48 if small else 400, valid=texts[1],
        test=texts[2], metric="perplexity",
    )  # fmt: skip
    return Column("words", setting, printed, (claim,))


def _text_rows(sizes: dict[str, tuple[int, int, int]], options: Options) -> tuple[Network, ...]:
    """Three layers as printed; small, one with a tenth of the units of the second."""
    cells = {LSTM: "lstm", GRU: "gru", SCO: "scornn", C: "nc-gru"}
    small = options.scale == "small"
    orthogonal = {"num_negative": 8 if small else 50}
    return tuple(
        Network(name, cells[name], (hidden[1] // 10,) if small else hidden, orthogonal if name in (SCO, C) else {})
        for name, hidden in sizes.items()
    )
