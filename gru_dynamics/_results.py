"""What can go wrong, each with a sentence that tells the user what to do about it."""

import optimistix as optx
from jax.core import Tracer


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
    undecided_cluster = (
        "In some places (`clusters`) fixed points are degenerate or closer than `min_width`; how many is open. "
        "Lower `min_width` to separate close points; a degenerate point stays undecided."
    )
    box_budget_spent = (
        "The budget of boxes was spent before everything was decided; what is listed is proven, more points may lie in "
        "`clusters`. Raise `max_boxes`, or give a smaller box as `bounds`; beyond about 8 units use "
        "`find_fixed_points` with `verify=True`."
    )
    enumeration_overflow = (
        "There are more fixed points or undecided boxes than the result can hold; what is listed is proven, but points "
        "are missing. Raise `max_points`, or `min_width` if the points form a curve."
    )
    not_proven = (
        "No fixed point could be proven near this state. Start nearer to it; a degenerate point, or one with another "
        "very near, cannot be proven this way."
    )
    not_converged = (
        "The iteration stopped before its residual reached the tolerance. "
        "Start nearer to the fixed point or raise `max_steps`."
    )
    start_not_on_branch = (
        "There is no fixed point at or near this state for this parameter, so there is no branch to follow. Take the "
        "start from `find_fixed_points(family(mu), ...)`."
    )
    start_out_of_range = "The parameter at the start lies outside `mu_range`. Widen the range or start inside it."
    parameter_moves_nothing = (
        "The system does not change with this parameter. Check `where` and `index` of the family: do they name the "
        "leaf that the system uses?"
    )
    steps_spent = (
        "The branch goes on after its last row. Raise `num_steps`, go on with `extend_branch`, or allow longer steps "
        "(`max_step` of the method)."
    )
    step_too_small = (
        "The branch stops where no step could be corrected; the part before it is kept. Natural continuation stops at "
        "folds: use `PseudoArclength`. Otherwise the system may not be smooth there, or raise `max_corrections`."
    )
    nonfinite_branch = (
        "The system returns inf or nan beyond the last row; the part before it is kept. Narrow `mu_range`, or check "
        "what the system does there."
    )
    special_points_overflow = (
        "More special points were found than `max_special_points` can hold; the list is cut. Raise it."
    )
    no_cycle = (
        "There is no cycle: the trajectory came to rest, or Newton's method shrank the cycle to a fixed point. Start "
        "in the basin of the cycle, or give its `period`."
    )
    no_return = (
        "The trajectory does not come back to its section within `longest`. Raise `longest` and `settle`, or give "
        "`period`."
    )
    lower_period = "The points repeat after fewer steps than `period`. Ask for the divisor of the period."
    no_period_limit = (
        "The period does not grow along the branch in a way that tells where it becomes infinite. Raise `max_period`, "
        "or follow the branch in the other direction."
    )
    no_other_branch = (
        "No other branch leaves this point: it is regular or isolated, or more than one eigenvalue vanishes there. "
        "Take a converged branch point of multiplicity 1."
    )
    max_branches_reached = "There are more branches than `max_branches` can hold; the diagram is cut. Raise it."
    max_attractors_reached = (
        "There are more attractors than `max_attractors` can hold; initial states of the others are unresolved. Raise "
        "it."
    )
    not_settled = (
        "Some states settled on none of the listed attractors. Raise `settle` or `duration`, or list the missing "
        "attractors (`basin_fractions` with more initial states)."
    )
    not_located = (
        "Newton's method on the defining equations did not converge. Start nearer to the bifurcation, for example from "
        "a special point of a branch, and give `omega` for Hopf and Neimark-Sacker points."
    )
    training_diverged = (
        "Loss, gradient or update became inf or nan; the model is that before the step. Lower the learning rate, clip "
        "the gradient (`optax.clip_by_global_norm`), or constrain the recurrent matrices (`gru_dynamics.optim`)."
    )
    stopped_early = "The validation loss did not improve for `patience` validations; the model is the best one."
    interrupted = "The run was interrupted; go on with `resume=True`."
    too_short = (
        "Too few steps are left after the burn-in to tell exponents from their fluctuation. Raise `num_steps`, or "
        "lower `burn_in`."
    )
    nonfinite_loss = "The loss or its gradient is inf or nan. Check the loss, the model and the ranges."
    too_few_lags = (
        "Fewer than 4 lags carry a signal, so no rate can be fitted. Raise `max_lag`, give a longer sequence, or check "
        "what the loss reads."
    )
    trajectory_exploded = (
        "The trajectory became inf or nan. Start elsewhere, shorten the time step of a flow, or check that the system "
        "has an attractor."
    )
    singular_jacobian = (
        "A Jacobian along the trajectory is singular, so the exponents of the directions that it wipes out are -inf. "
        "Ask for fewer with `num_exponents`. With an `interval` of your own, tangent vectors may also have become "
        "parallel: lower it."
    )


def raise_failure(where: str, result: RESULTS) -> None:
    """`RuntimeError` with the text of a result that is not successful. Inside `jax.jit` and `jax.vmap`, where the
    outcome is not known yet, nothing happens: the caller has the result."""
    failed = result != RESULTS.successful
    if not isinstance(failed, Tracer) and bool(failed):
        raise RuntimeError(f"{where}: {RESULTS[result]}")
