"""Codes for what happens on a branch and how well it was located."""

import enum


class SpecialKind(enum.IntEnum):
    """What is special about a point of a branch, an integer code in arrays of any shape.

    On curves of fixed points: `FOLD`; `BRANCH_POINT`, where branches cross; `TRANSCRITICAL` and `PITCHFORK`, branch
    points whose normal form is known; `HOPF` (flows); `PERIOD_DOUBLING`, `NEIMARK_SACKER` (maps). On curves of
    bifurcations the codimension-two points, on curves of cycles their bifurcations. `NONE`: padding.

    **Source:** Kuznetsov (2004), chapters 3 to 5, 8 and 9.
    """

    NONE = 0
    FOLD = 1
    BRANCH_POINT = 2
    HOPF = 3
    PERIOD_DOUBLING = 4
    NEIMARK_SACKER = 5
    TRANSCRITICAL = 6
    PITCHFORK = 7
    CUSP = 10
    BOGDANOV_TAKENS = 11
    ZERO_HOPF = 12
    GENERALISED_HOPF = 13
    HOPF_HOPF = 14
    RESONANCE_1_1 = 20
    RESONANCE_1_2 = 21
    RESONANCE_1_3 = 22
    RESONANCE_1_4 = 23
    FOLD_FLIP = 24
    DEGENERATE_FLIP = 25
    FOLD_NEIMARK_SACKER = 26
    FLIP_NEIMARK_SACKER = 27
    DEGENERATE_NEIMARK_SACKER = 28
    DOUBLE_NEIMARK_SACKER = 29
    CYCLE_FOLD = 40
    CYCLE_PERIOD_DOUBLING = 41
    CYCLE_TORUS = 42
    CYCLE_BRANCH_POINT = 43
    HOMOCLINIC = 50
    INFINITE_PERIOD = 51


class Location(enum.IntEnum):
    """How a special point is known, an integer code in arrays of any shape.

    `CONVERGED`: Newton's method on its defining system, or a bisection to the last digit. `BRACKETED`: a test function
    changes sign between two points of the branch, and nothing more is known. `NONE`: padding.

    **Source:** BifurcationKit.jl gives every special point a status and a bracket in the same way.
    """

    NONE = 0
    CONVERGED = 1
    BRACKETED = 2


class End(enum.IntEnum):
    """Why a branch ends, an integer code in arrays of any shape.

    `RUNNING`: it was not finished. `RANGE`: the end of the parameter range. `STEPS`: the number of steps was used up.
    `CLOSED`: the branch came back to its start. `STUCK`: no step of the smallest length could be corrected.
    `NONFINITE`: the same, and the system returned inf or nan there.

    **Source:** Allgower & Georg (2003), chapter 6.
    """

    RUNNING = 0
    RANGE = 1
    STEPS = 2
    CLOSED = 3
    STUCK = 4
    NONFINITE = 5
