"""When a run counts as failed, and how many did not."""

from typing import Any, NamedTuple

import numpy as np

from ..basins import clopper_pearson_interval

CRITERION = (
    "A run fails if a loss, a gradient or an update is not finite, or if its validation loss, at any check, is above "
    "that of a predictor that gives all outcomes the same probability: it then knows less than nothing. The "
    "supplement only says that the validation perplexity diverged in the learning process."
)


def finished(valid: np.ndarray, failed: np.ndarray, uniform: float) -> np.ndarray:
    """Whether runs with validation losses `(..., K)` at K checks came through, `(...)`.

    `failed (...)` is the step that was not finite, or 0; `uniform` the loss of the uniform predictor.
    """
    with np.errstate(invalid="ignore"):
        return (failed == 0) & np.all(valid <= uniform, axis=-1)


class Share(NamedTuple):
    """How many of how many, with an interval that covers at least 95 %."""

    finished: int
    num: int
    lower: float
    upper: float

    def text(self) -> str:
        return f"{self.finished}/{self.num} ({100 * self.lower:.0f} to {100 * self.upper:.0f} %)"


def share(success: np.ndarray) -> Share:
    """The share of True in an array of any shape."""
    count, num = int(success.sum()), success.size
    lower, upper = clopper_pearson_interval(np.array(count), np.array(num))
    return Share(count, num, float(lower), float(upper))


def spread(values: np.ndarray) -> dict[str, Any]:
    """Median, least and greatest of the finite values, `None` where there are none."""
    values = values[np.isfinite(values)]
    if not values.size:
        return {"median": None, "least": None, "greatest": None}
    return {"median": float(np.median(values)), "least": float(values.min()), "greatest": float(values.max())}
