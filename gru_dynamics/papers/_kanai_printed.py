"""What tables 1 to 4 of the supplement of Kanai, Fujiwara, Iwamura (2017) print, as arms with their numbers."""

from typing import Literal, NamedTuple

from ._kanai_train import Arm, Family

Data = Literal["words", "music"]


class Entry(NamedTuple):
    """A printed number: lowest validation perplexity (`words`) or negative log-likelihood (`music`), `None` where N/A
    is printed, and the printed success rate in per cent."""

    table: int
    data: Data
    family: Family
    method: str
    arm: Arm
    printed: float | None
    success: int | None = None


# Method, optimiser, rate, decay, with P_0.2, with clipping at 5.
_TABLE_1: tuple[tuple[str, Family, float, float, float, float | None], ...] = (
    ("Adam 1e-2", "adam", 1e-2, 1.0, 116.7, None),
    ("Adam 1e-3", "adam", 1e-3, 1.0, 121.0, 121.1),
    ("Adam 1e-4", "adam", 1e-4, 1.0, 164.2, 167.2),
    ("RMSprop 1e-2", "rmsprop", 1e-2, 1.0, 129.0, None),
    ("RMSprop 1e-3", "rmsprop", 1e-3, 1.0, 116.0, 115.5),
    ("RMSprop 1e-4", "rmsprop", 1e-4, 1.0, 166.5, 167.0),
    ("SGD, divided by 1.2", "sgd", 1.0, 1.2, 105.5, 109.5),
    ("SGD, divided by 1.1", "sgd", 1.0, 1.1, 103.5, 109.2),
    ("SGD, divided by 1.05", "sgd", 1.0, 1.05, 105.2, 109.9),
)
# Delta or threshold, success rate, validation; SGD at rate 0.1.
_TABLE_2_BALL = ((0.2, 100, 138.1), (0.5, 100, 137.9), (0.8, 100, 137.4), (1.1, 100, 137.0), (1.4, 100, 136.8))
_TABLE_2_CLIP = ((5.0, 50, 178.8), (10.0, 100, 154.7), (15.0, 100, 145.1), (20.0, 80, 219.3))
# Method, optimiser, rate, with P_0.2, with clipping at 15.
_TABLE_3: tuple[tuple[str, Family, float, float, float], ...] = (
    ("Adam 1e-2", "adam", 1e-2, 4.37, 13.7),
    ("Adam 1e-3", "adam", 1e-3, 3.38, 3.73),
    ("Adam 1e-4", "adam", 1e-4, 10.8, 12.9),
    ("RMSprop 1e-2", "rmsprop", 1e-2, 4.80, 13.9),
    ("RMSprop 1e-3", "rmsprop", 1e-3, 3.42, 3.56),
    ("RMSprop 1e-4", "rmsprop", 1e-4, 3.58, 3.63),
    ("SGD", "sgd plateau", 0.1, 3.42, 3.55),
)
# Threshold of the entries, success rate, validation. The first is printed as "268.7.8"; a second row has the same name.
_TABLE_4 = ((0.0015, 70, 268.7), (0.003, 10, 326.5), (0.0045, 10, 310.3), (0.006, 10, 330.6))

MEAN_NORM = {"words": 10.0, "music": 30.0}
"""Printed averages of the norm of the gradient, after which the thresholds were chosen."""


def entries() -> list[Entry]:
    """Every printed number of the four tables that can be measured."""
    rows: list[Entry] = []
    for method, family, rate, decay, ball, clip in _TABLE_1:
        rows.append(Entry(1, "words", family, method, Arm("P 0.2", rate, delta=0.2, decay=decay), ball))
        rows.append(Entry(1, "words", family, method, Arm("clip 5", rate, clip=5.0, decay=decay), clip))
    for delta, success, value in _TABLE_2_BALL:
        rows.append(Entry(2, "words", "sgd", "SGD 0.1", Arm(f"P {delta:g}", 0.1, delta=delta), value, success))
    for clip, success, value in _TABLE_2_CLIP:
        rows.append(Entry(2, "words", "sgd", "SGD 0.1", Arm(f"clip {clip:g}", 0.1, clip=clip), value, success))
    for method, family, rate, ball, clip in _TABLE_3:
        rows.append(Entry(3, "music", family, method, Arm("P 0.2", rate, delta=0.2), ball))
        rows.append(Entry(3, "music", family, method, Arm("clip 15", rate, clip=15.0), clip))
    for element, success, value in _TABLE_4:
        arm = Arm(f"entries at {element:g}", 1.0, element=element, decay=1.1)
        rows.append(Entry(4, "words", "sgd", "SGD, divided by 1.1", arm, value, success))
    return rows
