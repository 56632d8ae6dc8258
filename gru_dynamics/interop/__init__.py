"""Floor 3: weights of other frameworks and files, to cells and back. No framework is ever imported."""

from ._equinox import from_equinox as from_equinox, to_equinox as to_equinox
from ._errors import WeightError as WeightError
from ._files import load_arrays as load_arrays, save_weights as save_weights
from ._flax import (
    from_flax_linen as from_flax_linen,
    from_flax_nnx as from_flax_nnx,
    to_flax_linen as to_flax_linen,
    to_flax_nnx as to_flax_nnx,
)
from ._haiku import from_haiku as from_haiku, to_haiku as to_haiku
from ._keras import from_keras as from_keras, to_keras as to_keras
from ._lfads import from_lfads as from_lfads
from ._load import (
    FORMATS as FORMATS,
    from_weights as from_weights,
    load_cell as load_cell,
    to_weights as to_weights,
)
from ._native import save_cell as save_cell
from ._onnx import from_onnx as from_onnx, to_onnx as to_onnx
from ._torch import from_torch as from_torch, to_torch as to_torch
