"""Outward-rounded interval arithmetic: every result contains every real number that the operation can give."""

from ._functions import (
    modrelu as modrelu,
    modrelu_slope as modrelu_slope,
    relu as relu,
    relu_slope as relu_slope,
    sigmoid as sigmoid,
    sigmoid_slope as sigmoid_slope,
    tanh as tanh,
    tanh_slope as tanh_slope,
)
from ._interval import Interval as Interval, as_interval as as_interval, stack as stack
from ._products import matmul as matmul, matvec as matvec, times_nonnegative as times_nonnegative
