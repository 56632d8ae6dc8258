"""Tables 1 to 4 of Mucllari et al. (2022), as printed and small, and what a CPU can learn of their tasks."""

from collections.abc import Callable

from ..tasks import Adding, Copying, Denoise, Parenthesis
from ._nc_gru_columns import GORU, GRU, LSTM, RC, RELEASED, SCO, C, Claim, Column, released
from ._nc_gru_run import Network, Setting
from ._options import Options


def _rows(
    sizes: tuple[int, int, int, int, int],
    negative: tuple[int, int],
    *,
    share: float,
    drifting: float | None = None,
) -> tuple[Network, ...]:
    """The networks of tables 1 to 4 by their printed sizes and numbers of negative signs, all times `share`."""
    lstm, gru, sco, goru, nc = (max(round(share * size), 2) for size in sizes)
    minus_sco, minus_nc = (round(share * number) for number in negative)
    options = {"num_negative": min(minus_nc, nc)}
    rows = (
        Network(LSTM, "lstm", (lstm,)),
        Network(GRU, "gru", (gru,)),
        Network(SCO, "scornn", (sco,), {"num_negative": min(minus_sco, sco)}),
        Network(GORU, "goru", (goru,)),
        Network(C, "nc-gru", (nc,), options),
        Network(RC, "nc-gru", (nc,), options | {"orthogonal": ("r", "c")}),
    )
    if drifting is None:
        return rows
    return (*rows, Network(RELEASED, "nc-gru", (nc,), options, released(drifting)))


_EXACT_OR_NOT = Claim("exact orthogonality does better than the released drift", "", (C,), (RELEASED,))
_BOTH_BEST = "both NC-GRU models are below LSTM, GRU, scoRNN and GORU"


def table_1(options: Options) -> list[Column]:
    """Parenthesis."""
    claims = (
        Claim(_BOTH_BEST, "section 4.1", (C, RC), (LSTM, GRU, SCO, GORU)),
        Claim("two orthogonal matrices do better than one", "section 4.1", (RC,), (C,)),
        _EXACT_OR_NOT,
    )
    printed = {
        100: {LSTM: 0.62e-3, GRU: 29.94e-3, SCO: 24.85e-3, GORU: 1.199e-3, C: 0.286e-3, RC: 0.149e-3},
        200: {LSTM: 6.93e-3, GRU: 1.526e-3, SCO: 18.957e-3, GORU: 1.66e-3, C: 0.227e-3, RC: 0.167e-3},
    }
    small = options.scale == "small"
    rate = 3e-3 if small else 1e-3
    rows = _rows((42, 50, 110, 64, 56), (20, 40), share=0.5 if small else 1.0, drifting=rate)
    steps = 2500 if small else 20_000
    return _columns(
        options, printed, claims, 50, lambda T: Setting(Parenthesis(T, variant="released"), rows, steps, 16, rate, rate)
    )


def table_2(options: Options) -> list[Column]:
    """Denoise."""
    claims = (
        Claim(_BOTH_BEST, "section 4.2", (C, RC), (LSTM, GRU, SCO, GORU)),
        Claim("two orthogonal matrices do better than one", "section 4.2", (RC,), (C,)),
        _EXACT_OR_NOT,
    )
    printed = {
        200: {LSTM: 10.08e-2, GRU: 9.799e-2, SCO: 8.258e-2, GORU: 4.453e-2, C: 1.639e-2, RC: 1.633e-2},
        400: {LSTM: 5.427e-2, GRU: 5.2338e-2, SCO: 3.812e-2, GORU: 2.29e-2, C: 0.878e-2, RC: 0.774e-2},
    }
    small = options.scale == "small"
    rate = 3e-3 if small else 1e-3
    rows = _rows((90, 100, 200, 128, 118), (100, 50), share=0.35 if small else 1.0, drifting=rate)
    steps, batch_size = (1500, 32) if small else (10_000, 128)
    items = 5 if small else 10
    return _columns(
        options,
        printed,
        claims,
        60,
        lambda T: Setting(Denoise(T, num_items=items), rows, steps, batch_size, rate, rate),
    )


def table_3(options: Options) -> list[Column]:
    """Adding."""
    claims = (
        Claim("NC-GRU (U_c) is the best of all", "section 4.3", (C,), (LSTM, GRU, SCO, GORU, RC)),
        Claim(
            "NC-GRU (U_r, U_c) is comparable or better than the others", "section 4.3", (RC,), (LSTM, GRU, SCO, GORU)
        ),
    )
    printed = {
        200: {LSTM: 2.2829e-5, GRU: 1.776e-5, SCO: 51.49e-5, GORU: 2.758e-5, C: 1.022e-5, RC: 5.0e-5},
        400: {LSTM: 269.7e-5, GRU: 1.2976e-5, SCO: 16295.05e-5, GORU: 2.3067e-5, C: 0.81e-5, RC: 4.93e-5},
    }
    small = options.scale == "small"
    rows = _rows((68, 70, 190, 128, 80), (95, 43), share=0.5 if small else 1.0)
    steps, batch_size, rate = (1200, 20, 3e-3) if small else (20_000, 50, 1e-3)
    return _columns(options, printed, claims, 100, lambda T: Setting(Adding(T), rows, steps, batch_size, rate, rate))


def table_4(options: Options) -> list[Column]:
    """Copying."""
    claims = (
        Claim("both NC-GRU models are below LSTM, GRU and GORU", "section 4.4", (C, RC), (LSTM, GRU, GORU)),
        Claim("the loss of scoRNN is below all others", "section 4.4", (SCO,), (LSTM, GRU, GORU, C, RC)),
    )
    printed = {
        1000: {LSTM: 2.040e-2, GRU: 2.039e-2, SCO: 0.002e-2, GORU: 1.488e-2, C: 0.904e-2, RC: 0.882e-2},
        2000: {LSTM: 1.03e-2, GRU: 0.89e-2, SCO: 0.03e-2, GORU: 0.718e-2, C: 0.44e-2, RC: 0.496e-2},
    }
    small = options.scale == "small"
    rows = _rows((68, 78, 190, 100, 96), (95, 80), share=0.5 if small else 1.0)
    steps, batch_size = (1000, 20) if small else (10_000, 50)
    return _columns(options, printed, claims, 100, lambda T: Setting(Copying(T), rows, steps, batch_size, 1e-3, 1e-4))


def _columns(
    options: Options,
    printed: dict[int, dict[str, float]],
    claims: tuple[Claim, ...],
    short: int,
    setting: Callable[[int], Setting],
) -> list[Column]:
    """The printed lengths, or one short length beside the first printed one."""
    if options.scale == "paper":
        return [Column(f"T = {T}", setting(T), numbers, claims) for T, numbers in printed.items()]
    first = next(iter(printed))
    return [Column(f"T = {short} (printed: T = {first})", setting(short), printed[first], claims)]


def learning(options: Options) -> list[Column]:
    """What a CPU can learn in minutes, in settings of ours."""
    adding, copying = Adding(200), Copying(200)
    assert copying.baseline is not None
    sco = Network(SCO, "scornn", (100,), {"num_negative": 50})
    return [
        Column(
            "Adding, T = 200",
            Setting(adding, (Network(C, "nc-gru", (40,)),), 3000, 20, 3e-3, 3e-3, decay=True, clip=1.0),
            {},
            (Claim("NC-GRU is below 0.001", "", (C,), limit=1e-3),),
        ),
        Column(
            "Copying, T = 200",
            Setting(copying, (sco,), 2500, 20, 1e-3, 1e-4),
            {},
            (
                Claim(
                    "the loss of scoRNN is below 5 % of that without memory", "", (SCO,), limit=0.05 * copying.baseline
                ),
            ),
        ),
    ]
