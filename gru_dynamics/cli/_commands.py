"""The commands as tyro sees them: a function each, whose signature is the usage and whose docstring is the help."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

from ._continue import run_continue
from ._gradients import run_gradients
from ._lyapunov import run_lyapunov
from ._reproduce import run_reproduce
from ._run import run_analyze, run_convert, run_demo
from ._sweep import run_sweep
from ._train import run_train


class Job(NamedTuple):
    """What to run, given the command line as text, and whether to show tracebacks."""

    run: Callable[[str], None]
    debug: bool


def demo(*, out: Path = Path("gru-dynamics-demo"), json: bool = False, debug: bool = False) -> Job:
    """Analyse two networks that come with the package, in less than a minute.

    Args:
        out: folder for pictures, report.html and result.json.
        json: print result.json, and nothing else, to stdout.
        debug: show a traceback when something fails.
    """
    return Job(functools.partial(run_demo, out=out, json=json), debug)


def analyze(
    file: Path,
    /,
    *,
    format: str = "auto",
    layer: int | None = None,
    prefix: str | None = None,
    reset: Literal["before", "after"] | None = None,
    input: str | None = None,
    states: Path | None = None,
    seeds: int = 1024,
    flow: bool = False,
    tau: float = 1.0,
    seed: int = 0,
    max_points: int | None = None,
    max_boxes: int = 200_000,
    out: Path | None = None,
    json: bool = False,
    debug: bool = False,
) -> Job:
    """Find all fixed points of a recurrent network at constant input, say what they are, and draw them.

    Args:
        file: weights in a .safetensors or .npz file.
        format: auto, gru_dynamics, torch, equinox, flax_linen, flax_nnx, haiku, keras or onnx.
        layer: one layer of several, counted from 0. Default: all, as a stack.
        prefix: what stands before the names of the weights, when the file holds several networks.
        reset: whether the reset gate acts before or after the recurrent product. Default: what the format says.
        input: the constant input, numbers separated by commas. Default: zeros.
        states: visited states (T, S) in an .npz, .npy or .safetensors file: half of the search starts there.
        seeds: number of starting points.
        flow: take the cell as a flow in continuous time instead of a map.
        tau: time constant of the flow.
        seed: of the random numbers.
        max_points: room for fixed points. Default: the number of starting points, at most 1024.
        max_boxes: budget of the proof that the list is complete, tried up to 8 units; 0 skips it.
        out: folder for pictures, report.html and result.json. Default: the name of the file and -dynamics.
        json: print result.json, and nothing else, to stdout.
        debug: show a traceback when something fails.
    """
    run = functools.partial(
        run_analyze,
        file=file,
        format=format,
        layer=layer,
        prefix=prefix,
        reset=reset,
        input=input,
        states=states,
        seeds=seeds,
        flow=flow,
        tau=tau,
        seed=seed,
        max_points=max_points,
        max_boxes=max_boxes,
        out=out,
        json=json,
    )
    return Job(run, debug)


def convert(
    file: Path,
    out: Path,
    /,
    *,
    to: str,
    format: str = "auto",
    layer: int | None = None,
    prefix: str | None = None,
    reset: Literal["before", "after"] | None = None,
    debug: bool = False,
) -> Job:
    """Write the weights of a network in the layout of another framework.

    Args:
        file: weights in a .safetensors or .npz file.
        out: file to write, .safetensors or .npz.
        to: gru_dynamics, torch, equinox, flax_linen, flax_nnx, haiku, keras or onnx.
        format: of the given file, as for `to`, or auto.
        layer: one layer of several, counted from 0. Default: all.
        prefix: what stands before the names of the weights, when the file holds several networks.
        reset: whether the reset gate acts before or after the recurrent product. Default: what the format says.
        debug: show a traceback when something fails.
    """
    run = functools.partial(
        run_convert, file=file, out=out, to=to, format=format, layer=layer, prefix=prefix, reset=reset
    )
    return Job(run, debug)


def sweep(
    file: Path | None = None,
    /,
    *,
    plane: str | None = None,
    case: str | None = None,
    vary: tuple[str, ...] = (),
    samples: int | None = None,
    analysis: Literal["enumerate", "search"] = "enumerate",
    guesses: int = 64,
    max_points: int = 32,
    max_boxes: int = 100_000,
    min_width: float = 1e-6,
    block_size: int = 4096,
    shard: str = "0/1",
    engine: Literal["local", "ray"] = "local",
    format: str = "auto",
    layer: int | None = None,
    prefix: str | None = None,
    reset: Literal["before", "after"] | None = None,
    input: str | None = None,
    flow: bool = False,
    tau: float = 1.0,
    seed: int = 0,
    out: Path | None = None,
    json: bool = False,
    debug: bool = False,
) -> Job:
    """Count the fixed points of a network over ranges of its parameters, and draw the phase diagram.

    Run it again to continue where it stopped.

    Args:
        file: weights in a .safetensors or .npz file; or leave it out and give --plane.
        plane: weights, biases or alpha: a plane of Jordan, Sokół, Park (2019).
        case: of the paper, the other parameters of the plane. Default: fig:3a.
        vary: a parameter and its range, NAME=LOWER:UPPER:NUM, as in b_c[0]=-2:2:200. Once for each parameter.
        samples: this many Sobol points instead of a grid; the ranges are then NAME=LOWER:UPPER.
        analysis: enumerate proves the counts, for small networks; search finds and checks the index sum.
        guesses: starting points of a search, for each system.
        max_points: room for fixed points, for each system.
        max_boxes: of an enumeration, for each system.
        min_width: boxes of an enumeration narrower than this stay undecided.
        block_size: systems computed at a time and written to one part.
        shard: i/n, this run is shard i of n, counted from 0, that share the folder.
        engine: local, or ray for the tasks of a Ray cluster.
        format: of the file: auto, gru_dynamics, torch, equinox, flax_linen, flax_nnx, haiku, keras or onnx.
        layer: one layer of several, counted from 0. Default: all, as a stack.
        prefix: what stands before the names of the weights, when the file holds several networks.
        reset: whether the reset gate acts before or after the recurrent product. Default: what the format says.
        input: the constant input, numbers separated by commas. Default: zeros.
        flow: take the cell as a flow in continuous time instead of a map.
        tau: time constant of the flow.
        seed: of the random numbers.
        out: folder for parts, table and picture. Default: the name of the file or plane and -sweep.
        json: print the summary as JSON, and nothing else, to stdout.
        debug: show a traceback when something fails.
    """
    run = functools.partial(
        run_sweep,
        file=file,
        plane=plane,
        case=case,
        vary=vary,
        samples=samples,
        analysis=analysis,
        guesses=guesses,
        max_points=max_points,
        max_boxes=max_boxes,
        min_width=min_width,
        block_size=block_size,
        shard=shard,
        engine=engine,
        format=format,
        layer=layer,
        prefix=prefix,
        reset=reset,
        input=input,
        flow=flow,
        tau=tau,
        seed=seed,
        out=out,
        json=json,
    )
    return Job(run, debug)


def follow(
    file: str,
    /,
    *,
    parameter: str | None = None,
    range: tuple[str, str] | None = None,
    start: str | None = None,
    system: Literal["map", "flow"] | None = None,
    tau: float = 1.0,
    steps: int = 1000,
    events: str = "all",
    component: str = "0",
    box: tuple[str, str] | None = None,
    seeds: int = 256,
    max_points: int = 64,
    seed: int = 0,
    format: str = "auto",
    layer: int | None = None,
    prefix: str | None = None,
    reset: Literal["before", "after"] | None = None,
    input: str | None = None,
    out: Path | None = None,
    json: bool = False,
    debug: bool = False,
) -> Job:
    """Follow the fixed points of a network in one parameter, locate their bifurcations, and draw the diagram.

    Args:
        file: weights in a .safetensors or .npz file; or library:NAME, as in library:brusselator,A=1.5.
        parameter: the number to vary, b_c[0], U_c[0,1], input[0], tau; or gain:U_c, a factor of a whole matrix.
        range: lower and upper end of the parameter.
        start: follow only the fixed points at these values, with commas between. Default: all in the range.
        system: take the cell as a map or as a flow. Default: map.
        tau: time constant of the flow.
        steps: largest number of points in each direction from a start.
        events: all, none, or some of fold, branch-point, hopf, period-doubling, neimark-sacker.
        component: number of the state variable to draw, counted from 0, or norm.
        box: ends of the box to search in, the same for all state variables. Default: what is known of the system.
        seeds: number of starting points of each search.
        max_points: room for fixed points, for each search.
        seed: of the random numbers.
        format: of the file: auto, gru_dynamics, torch, equinox, flax_linen, flax_nnx, haiku, keras or onnx.
        layer: one layer of several, counted from 0. Default: all, as a stack.
        prefix: what stands before the names of the weights, when the file holds several networks.
        reset: whether the reset gate acts before or after the recurrent product. Default: what the format says.
        input: the constant input, numbers separated by commas. Default: zeros.
        out: folder for bifurcation.png, report.html, result.json and branches.npz. Default: NAME-continuation.
        json: print result.json, and nothing else, to stdout.
        debug: show a traceback when something fails.
    """
    run = functools.partial(
        run_continue,
        word=file,
        parameter=parameter,
        range=range,
        start=start,
        system=system,
        tau=tau,
        steps=steps,
        events=events,
        component=component,
        box=box,
        seeds=seeds,
        max_points=max_points,
        seed=seed,
        format=format,
        layer=layer,
        prefix=prefix,
        reset=reset,
        input=input,
        out=out,
        json=json,
    )
    return Job(run, debug)


def lyapunov(
    file: Path,
    /,
    *,
    format: str = "auto",
    layer: int | None = None,
    prefix: str | None = None,
    reset: Literal["before", "after"] | None = None,
    input: str | None = None,
    flow: bool = False,
    tau: float = 1.0,
    num_steps: int = 10_000,
    num_exponents: int | None = None,
    burn_in: int | None = None,
    time_step: float | None = None,
    starts: int = 4,
    seed: int = 0,
    out: Path | None = None,
    json: bool = False,
    debug: bool = False,
) -> Job:
    """Lyapunov exponents of a recurrent network at constant input, with error bars, from several random starts.

    Args:
        file: weights in a .safetensors or .npz file.
        format: auto, gru_dynamics, torch, equinox, flax_linen, flax_nnx, haiku, keras or onnx.
        layer: one layer of several, counted from 0. Default: all, as a stack.
        prefix: what stands before the names of the weights, when the file holds several networks.
        reset: whether the reset gate acts before or after the recurrent product. Default: what the format says.
        input: the constant input, numbers separated by commas. Default: zeros.
        flow: the network in continuous time instead of the map.
        tau: time constant of the flow.
        num_steps: steps that are counted.
        num_exponents: so many leading exponents. Default: all, at most 64.
        burn_in: steps before counting. Default: a tenth of num-steps.
        time_step: of the flow. Default: tau / 20.
        starts: random initial states, uniform in the trapping box.
        seed: of the random initial states.
        out: folder for the picture, report.html and result.json. Default: FILE-lyapunov.
        json: print result.json, and nothing else, to stdout.
        debug: show a traceback when something fails.
    """
    run = functools.partial(
        run_lyapunov,
        file=file,
        format=format,
        layer=layer,
        prefix=prefix,
        reset=reset,
        input=input,
        flow=flow,
        tau=tau,
        num_steps=num_steps,
        num_exponents=num_exponents,
        burn_in=burn_in,
        time_step=time_step,
        starts=starts,
        seed=seed,
        out=out,
        json=json,
    )
    return Job(run, debug)


def gradients(
    file: Path,
    /,
    *,
    data: Path | None = None,
    loss: Literal["last", "sum-of-squares"] = "sum-of-squares",
    steps: int = 200,
    max_lag: int | None = None,
    sequence: int = 0,
    format: str = "auto",
    layer: int | None = None,
    prefix: str | None = None,
    reset: Literal["before", "after"] | None = None,
    seed: int = 0,
    out: Path | None = None,
    json: bool = False,
    debug: bool = False,
) -> Job:
    """How far back the gradient of a recurrent network reaches on a sequence, and whether it vanishes or explodes.

    Args:
        file: weights in a .safetensors or .npz file.
        data: inputs, columns of a .csv or an array (T, I) or (B, T, I) in a .npz file. Default: white noise.
        loss: half the sum of squares of the outputs, at the last step or at all steps.
        steps: length of the white noise.
        max_lag: split the gradient by so many lags. Default: all, at most 100.
        sequence: which one of several, counted from 0.
        format: auto, gru_dynamics, torch, equinox, flax_linen, flax_nnx, haiku, keras or onnx.
        layer: one layer of several, counted from 0. Default: all, as a stack.
        prefix: what stands before the names of the weights, when the file holds several networks.
        reset: whether the reset gate acts before or after the recurrent product. Default: what the format says.
        seed: of the white noise.
        out: folder for the picture, report.html and result.json. Default: FILE-gradients.
        json: print result.json, and nothing else, to stdout.
        debug: show a traceback when something fails.
    """
    run = functools.partial(
        run_gradients,
        file=file,
        data=data,
        loss=loss,
        steps=steps,
        max_lag=max_lag,
        sequence=sequence,
        format=format,
        layer=layer,
        prefix=prefix,
        reset=reset,
        seed=seed,
        out=out,
        json=json,
    )
    return Job(run, debug)


def reproduce(
    name: str,
    /,
    *,
    scale: Literal["small", "paper"] = "small",
    seeds: int = 3,
    data: Path | None = None,
    out: Path | None = None,
    json: bool = False,
    debug: bool = False,
) -> Job:
    """Recompute the tables and figures of a paper, and write them beside what is printed.

    Args:
        name: jordan-atlas, the 36 topologies and the phase portraits of Jordan, Sokół, Park (2019), or jordan-figures,
            its homoclinic regions, Hopf family, slow points and automata, one cell as map and as flow; of Mucllari et
            al. (2022) nc-gru-table1 to nc-gru-table6 and nc-gru-figure5 to nc-gru-figure8, and nc-gru-learning;
            kanai-sweep and kanai-tables, of Kanai, Fujiwara, Iwamura (2017); rehmer-kroll-gradients, of Rehmer & Kroll
            (2020); errata, the theorems of all five papers executed.
        scale: of what is trained: small, minutes on two cores, or paper, the printed setting.
        seeds: train so many networks of each kind.
        data: folder with the files of text or music, where a table needs them.
        out: folder for the page, the tables and the pictures. Default: the name.
        json: print result.json, and nothing else, to stdout.
        debug: show a traceback when something fails.
    """
    run = functools.partial(run_reproduce, name=name, scale=scale, seeds=seeds, data=data, out=out, json=json)
    return Job(run, debug)


def train(
    task: str,
    /,
    *,
    cell: str = "nc-gru",
    hidden: int = 118,
    layers: int = 1,
    negative: int | None = None,
    embedding: int | None = None,
    dropout: float = 0.0,
    tie: bool = False,
    length: int | None = None,
    variant: Literal["paper", "released"] = "paper",
    replacement: bool = False,
    data: Path | None = None,
    unchecked: bool = False,
    steps: int = 1000,
    batch_size: int = 128,
    lr: float = 1e-3,
    orthogonal_lr: float | None = None,
    decay: Literal["none", "cosine"] = "none",
    clip: float | None = None,
    mode: Literal["closed_loop", "paper", "released", "rebased", "exact"] | None = None,
    order: int | None = None,
    reset_every: int | None = None,
    seed: int = 0,
    seeds: int = 1,
    block: int = 100,
    validate_every: int | None = None,
    patience: int | None = None,
    out: Path | None = None,
    resume: bool = False,
    json: bool = False,
    debug: bool = False,
) -> Job:
    """Train a recurrent network on a task in float32; what it learns can then be analysed.

    Args:
        task: adding, copying, denoise or parenthesis, generated; or with --data: ptb-words, ptb-characters,
            jsb-chorales, nottingham, musedata or piano-midi.
        cell: nc-gru, gru, lstm, elman, sco-rnn or goru.
        hidden: units of a layer.
        layers: layers on top of each other.
        negative: entries -1 of the diagonal D of an orthogonal matrix. Default: half of the units.
        embedding: width of the embedding of symbols. Default: that of a layer.
        dropout: share of inputs, of what passes between layers, and of outputs that is dropped while training.
        tie: read out with the embedding.
        length: of the sequences. Default: 200; for text 35 words or 100 characters; for music whole tunes.
        variant: of parenthesis, that of the paper or that of its program.
        replacement: draw the places of denoise with replacement, as the released program does.
        data: folder with the files of the data.
        unchecked: take the data as they are, without comparing checksums.
        steps: gradient steps in all.
        batch_size: sequences in a step.
        lr: learning rate of Adam.
        orthogonal_lr: learning rate of the orthogonal matrices. Default: the same.
        decay: none, or cosine: the learning rates go to zero over all steps.
        clip: largest global norm of the gradient.
        mode: how matrices are kept orthogonal: closed_loop, paper, released, rebased or exact.
        order: terms of the Neumann series.
        reset_every: steps between exact inverses.
        seed: of the random numbers.
        seeds: train so many networks at once, from different random numbers.
        block: steps between two looks at loss and drift.
        validate_every: steps between validations, where there are validation data. Default: one pass over the data.
        patience: stop after so many validations without a better one.
        out: folder for weights, log, checkpoint, picture and result.json. Default: the names of task and cell.
        resume: go on with the run in that folder.
        json: print result.json, and nothing else, to stdout.
        debug: show a traceback when something fails.
    """
    run = functools.partial(
        run_train,
        task=task,
        cell=cell,
        hidden=hidden,
        layers=layers,
        negative=negative,
        embedding=embedding,
        dropout=dropout,
        tie=tie,
        length=length,
        variant=variant,
        replacement=replacement,
        data=data,
        unchecked=unchecked,
        steps=steps,
        batch_size=batch_size,
        lr=lr,
        orthogonal_lr=orthogonal_lr,
        decay=decay,
        clip=clip,
        mode=mode,
        order=order,
        reset_every=reset_every,
        seed=seed,
        seeds=seeds,
        block=block,
        validate_every=validate_every,
        patience=patience,
        out=out,
        resume=resume,
        json=json,
    )
    return Job(run, debug)
