"""Which rows have an answer."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def undecided(columns: Mapping[str, Any]) -> np.ndarray:
    """Why rows of a sweep with `Enumerate` or `Search` have no decided number of fixed points.

    **Arguments:** `columns`, arrays `(rows,)` by name, among them `complete` and `status`.

    **Returns:** texts `(rows,)`: `""` where the count is proven (`Enumerate`), or found without a contradiction in the
    index sum (`Search`); else the `status`, or `"incomplete"` where that says nothing.

    **Raises:** `ValueError` without these columns.

    **Source:** `Completeness`.
    """
    if "complete" not in columns or "status" not in columns:
        raise ValueError(f"expected the columns complete and status of a sweep, found {', '.join(columns)}")
    status, complete = np.asarray(columns["status"]), np.asarray(columns["complete"])
    if "count_lower" in columns:
        decided = complete == "certified"
    else:
        decided = (complete != "incomplete") & (status == "successful")
    return np.where(decided, "", np.where(status == "successful", complete, status))
