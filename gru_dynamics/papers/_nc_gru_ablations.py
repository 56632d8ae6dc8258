"""Figures 5 to 7 of Mucllari et al. (2022): ablations, as printed and small."""

from ..tasks import Copying, Parenthesis
from ._nc_gru_columns import GORU, GRU, LSTM, RC, RZC, SCO, C, Claim, Column, released
from ._nc_gru_run import Network, Setting
from ._options import Options

EXACT, CLOSED, DRIFTING = "inverse by LU", "closed loop", "released update"
NEUMANN = ("Neumann 1", "Neumann 2", "Neumann 3")


def figure_5(options: Options) -> list[Column]:
    """Neumann series of orders 1 to 3, exact inverse, closed loop, and the released update."""
    inverse = Claim("Neumann 2 does better than the inverse", "section 5.1", (NEUMANN[1],), (EXACT,))
    orders = Claim("Neumann 2 does better than 1 and 3, marginally", "section 5.1", (NEUMANN[1],), NEUMANN[::2])
    drift = Claim("exact orthogonality does better than the released drift", "", (EXACT, CLOSED), (DRIFTING,))
    faster = Claim(
        "Neumann 2 takes less time per step than the inverse", "section 5.1", NEUMANN[1:2], (EXACT,), of="seconds"
    )
    small = options.scale == "small"
    T, hidden, steps, rate = (50, 28, 1500, 3e-3) if small else (100, 56, 20_000, 1e-3)
    rows = _updates(hidden, hidden * 40 // 56, rate)
    setting = Setting(Parenthesis(T, variant="released"), rows, steps, 16, rate, rate, alone=True)
    return [Column(f"T = {T}", setting, {}, (inverse, orders, drift, faster))]


def _updates(hidden: int, negative: int, rate: float) -> tuple[Network, ...]:
    """One NC-GRU (U_c) for each way to keep its matrix orthogonal."""
    ways = {name: {"mode": "paper", "order": order, "reset_every": 50} for order, name in enumerate(NEUMANN, 1)}
    ways |= {EXACT: {"mode": "exact"}, CLOSED: {"mode": "closed_loop"}, DRIFTING: released(rate)}
    options = {"num_negative": negative}
    return tuple(Network(name, "nc-gru", (hidden,), options, update) for name, update in ways.items())


def figure_6(options: Options) -> list[Column]:
    """Time per step."""
    small = options.scale == "small"
    hidden, batch_size, T = (200, 16, 10) if small else (1000, 32, 80)
    faster = Claim(
        "the Neumann series takes less time per step than the inverse", "section 5.1", NEUMANN, (EXACT,), of="seconds"
    )
    others = (
        Network(LSTM, "lstm", (hidden * 88 // 100,)),
        Network(GRU, "gru", (hidden * 95 // 100,)),
        Network(SCO, "scornn", (hidden * 2,), {"num_negative": 50}),
        Network(GORU, "goru", (hidden,)),
        Network(RC, "nc-gru", (hidden,), {"num_negative": 50, "orthogonal": ("r", "c")}),
    )
    rows = (*_updates(hidden, 50, 1e-3)[:5], *others)
    setting = Setting(Copying(T), rows, 0, batch_size, 1e-3, 1e-3, alone=True)
    return [Column(f"{hidden} units, {T + 20} steps of time, batches of {batch_size}", setting, {}, (faster,))]


def figure_7(options: Options) -> list[Column]:
    """One, two or three orthogonal matrices."""
    claim = Claim("one or two orthogonal matrices do better than three", "section 5.2", (C, RC), (RZC,))
    small = options.scale == "small"
    T, hidden, steps, rate = (50, 28, 1500, 3e-3) if small else (100, 56, 20_000, 1e-3)
    rows = tuple(
        Network(name, "nc-gru", (hidden,), {"num_negative": hidden * 40 // 56, "orthogonal": gates})
        for name, gates in ((C, ("c",)), (RC, ("r", "c")), (RZC, ("r", "z", "c")))
    )
    return [Column(f"T = {T}", Setting(Parenthesis(T, variant="released"), rows, steps, 16, rate, rate), {}, (claim,))]
