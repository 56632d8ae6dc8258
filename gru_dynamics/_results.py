"""What can go wrong, each with a sentence that tells the user what to do about it."""

import optimistix as optx


class RESULTS(optx.RESULTS):  # pyright: ignore[reportGeneralTypeIssues]
    """Outcome of a computation: `RESULTS.successful` or the reason why not, as a scalar enumeration item, shape
    `()`.

    Extends `optimistix.RESULTS`. Under `jax.vmap` over N systems an item holds `(N,)` codes; `RESULTS[item]` gives the
    text.

    **Source:** the pattern of `optimistix.RESULTS`.
    """

    successful = ""
    no_fixed_point = (
        "No guess converged to a fixed point. Use more guesses, take them from visited states "
        "(`TrajectoryGuesses`), or raise `max_steps` of the method."
    )
    max_points_reached = (
        "More distinct fixed points were found than `max_points` can hold; the list is cut. "
        "Raise `max_points` of `find_fixed_points`."
    )
    nonfinite_system = (
        "The system returns inf or nan at every guess. Check the weights and the constant input for inf or nan."
    )
    not_converged = (
        "The iteration stopped before its residual reached the tolerance. "
        "Start nearer to the fixed point or raise `max_steps`."
    )
