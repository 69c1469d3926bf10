"""The simplest image that explains what was measured: compressed sensing with coil sensitivities.

L1-ESPIRiT for the prior of wavelets (Lustig, Donoho, Pauly: MRM 2007;58:1182,
doi:10.1002/mrm.21391; Uecker et al: MRM 2014;71:990, doi:10.1002/mrm.24751).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ultrahand.numerics.solution import Status
from ultrahand.pipelines.assemble import NO_SCAN, Combined
from ultrahand.pipelines.iterative import samples_problem
from ultrahand.pipelines.parallel import lines_problem
from ultrahand.pipelines.problem import MAPS_GIVEN
from ultrahand.pipelines.replicas import scatter_of, words
from ultrahand.pipelines.workspace import Workspace
from ultrahand.recon.regularised import Prior, Regularised, regularised
from ultrahand.records.findings import warning

if TYPE_CHECKING:
    from ultrahand.pipelines.encoding import EncodingPlan
    from ultrahand.pipelines.plan import ReconPlan
    from ultrahand.records.arrays import Complex64, Ints
    from ultrahand.records.raw import RawData

MAX_ITERATIONS: Final = 60
UNKNOWN: Final = (
    "the prior makes the image depend on the noise in no linear way; --replicas 16 measures the "
    "scatter, --method sense or cg have a standard error in closed form"
)


def simplest(
    raw: RawData, plan: ReconPlan, encoding: EncodingPlan, rows: Ints, workspace: Workspace
) -> Combined:
    """Reconstruct one slice or slab with a prior."""
    make = samples_problem if encoding.cartesian is None else lines_problem
    problem = make(raw, plan, encoding, rows, workspace)
    options = plan.options

    def solved(rhs: Complex64) -> Regularised:
        return regularised(
            rhs,
            problem.spectra,
            problem.maps,
            prior=Prior(options.prior),
            weight=options.prior_weight,
            voxel_size_m=encoding.voxel_m,
            max_iterations=MAX_ITERATIONS,
            threads=options.workers,
        )

    def replica(rng: np.random.Generator) -> Complex64:
        assert problem.draw is not None
        return problem.image_of(solved(problem.rhs + problem.draw(rng)).image)

    made = solved(problem.rhs)
    if made.solution.status is Status.DIVERGED:
        workspace.notes.append(
            warning(
                "compressed sensing",
                found=f"{made.solution.status} after {made.solution.iterations} iterations",
                expected="finite numbers",
                remedy="the last finite iterate is written; give a smaller --prior-weight",
            )
        )
    how = f"{options.prior} prior of weight {made.weight:.3g} in units of noise"
    steps = (*problem.steps, f"{how}, {made.solution.iterations} iterations")
    image = problem.image_of(made.image)
    if not options.replicas or encoding.whitener is None:
        unknown = UNKNOWN if encoding.whitener else NO_SCAN
        return Combined(image, None, 1, steps, unknown=unknown)
    sigma = scatter_of(replica, options.replicas, int(rows[0]))
    return Combined(image, sigma, 1, steps, given=MAPS_GIVEN, law=words(options.replicas))
