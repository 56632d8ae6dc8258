"""Why a training run ended."""

import equinox as eqx


class OUTCOMES(eqx.Enumeration):  # pyright: ignore[reportGeneralTypeIssues]
    """Outcome of a training run, an enumeration item of shape `()`, or `(L,)` codes for L runs.

    **Source:** the pattern of `optimistix.RESULTS`.
    """

    successful = ""
    training_diverged = (
        "Loss, gradient or update became inf or nan; the model is that before the step. Lower the learning rate, clip "
        "the gradient (`optax.clip_by_global_norm`), or constrain the recurrent matrices (`gru_dynamics.optim`)."
    )
    stopped_early = "The validation loss did not improve for `patience` validations; the model is the best one."
    interrupted = "The run was interrupted; go on with `resume=True`."
