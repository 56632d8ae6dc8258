"""Floor 1: data and losses, without a model."""

from ._adding import Adding as Adding
from ._base import AbstractGeneratedTask as AbstractGeneratedTask, AbstractTask as AbstractTask, Batch as Batch
from ._copying import Copying as Copying
from ._denoise import Denoise as Denoise
from ._files import (
    MUSIC_CHECKSUMS as MUSIC_CHECKSUMS,
    PTB_CHECKSUMS as PTB_CHECKSUMS,
    DataError as DataError,
)
from ._metrics import (
    accuracy as accuracy,
    bernoulli_nll as bernoulli_nll,
    bits_per_character as bits_per_character,
    cross_entropy as cross_entropy,
    mean_squared_error as mean_squared_error,
    perplexity as perplexity,
    weighted_mean as weighted_mean,
)
from ._ngrams import bigram_cross_entropy as bigram_cross_entropy, unigram_cross_entropy as unigram_cross_entropy
from ._parenthesis import Parenthesis as Parenthesis
from ._piano_roll import PianoRoll as PianoRoll, markov_nll as markov_nll
from ._recall import AbstractRecallTask as AbstractRecallTask
from ._text import Text as Text, Vocabulary as Vocabulary
