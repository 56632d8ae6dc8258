"""Floor 6: a cell with a readout, trained on a task."""

from ._drift import orthogonality_drift as orthogonality_drift
from ._errors import TrainingError as TrainingError
from ._evaluate import evaluate as evaluate
from ._fit import fit as fit, fit_many as fit_many
from ._log import TrainLog as TrainLog
from ._model import Dropout as Dropout, SequenceModel as SequenceModel
