"""Floor 5: derivatives along trajectories."""

from ._bounds import GradientBound as GradientBound, gradient_bound as gradient_bound
from ._bounds_box import JacobianNormRange as JacobianNormRange, jacobian_norm_range as jacobian_norm_range
from ._bounds_gates import GateBound as GateBound, gate_bound as gate_bound
from ._bptt import BPTTFactors as BPTTFactors, bptt_factors as bptt_factors
from ._bptt_flow import FlowFactors as FlowFactors, bptt_factors_flow as bptt_factors_flow
from ._bptt_lags import LagFactors as LagFactors
from ._bptt_products import product_singular_values as product_singular_values
from ._covariant import CovariantVectors as CovariantVectors, covariant_vectors as covariant_vectors
from ._flossing import flossing_penalty as flossing_penalty
from ._horizon import (
    GradientFlow as GradientFlow,
    GradientHorizon as GradientHorizon,
    gradient_horizon as gradient_horizon,
)
from ._landscape import LossLandscape as LossLandscape, loss_landscape as loss_landscape
from ._lyapunov import lyapunov_spectrum as lyapunov_spectrum
from ._lyapunov_record import GrowthRecord as GrowthRecord
from ._lyapunov_result import LyapunovSpectrum as LyapunovSpectrum
