"""Floor 2: one recurrent step, unbatched; weights in, state out."""

from ._base import (
    AbstractCell as AbstractCell,
    AbstractGatedCell as AbstractGatedCell,
    Linearisation as Linearisation,
    autodiff_linearise as autodiff_linearise,
)
from ._count import num_parameters as num_parameters
from ._elman import ElmanCell as ElmanCell
from ._enclosure import (
    CellEnclosure as CellEnclosure,
    Enclosable as Enclosable,
    enclose_gated as enclose_gated,
)
from ._goru import GORUCell as GORUCell
from ._gru import GRUCell as GRUCell
from ._init import (
    Initializer as Initializer,
    glorot as glorot,
    he_uniform as he_uniform,
    orthogonal as orthogonal,
    uniform_fan as uniform_fan,
)
from ._lstm import LSTMCell as LSTMCell
from ._modrelu import modrelu as modrelu
from ._nc_gru import NCGRUCell as NCGRUCell
from ._sco_rnn import ScoRNNCell as ScoRNNCell
from ._stacked import StackedCell as StackedCell
