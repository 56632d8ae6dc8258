"""Floor 9: pictures from result objects. Every function draws on given axes and returns them."""

from ._basins import basin_shares as basin_shares, basins as basins
from ._bifurcation import bifurcation_diagram as bifurcation_diagram
from ._cycles import cycle_periods as cycle_periods
from ._gradients import gradient_flow as gradient_flow
from ._landscape import loss_surface as loss_surface
from ._lyapunov import lyapunov_convergence as lyapunov_convergence, lyapunov_exponents as lyapunov_exponents
from ._pca import pca_portrait as pca_portrait
from ._phase import phase_portrait as phase_portrait
from ._phase_diagram import phase_diagram as phase_diagram
from ._spectrum import spectrum as spectrum
from ._two_parameters import two_parameter_diagram as two_parameter_diagram
