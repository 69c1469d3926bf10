"""What is known of an image before it is measured. Every weight is in noise units."""

from ultrahand.numerics.priors.components import Components, summed
from ultrahand.numerics.priors.contract import Composite, Dual, Proximal
from ultrahand.numerics.priors.damping import Squares
from ultrahand.numerics.priors.direct import Direct
from ultrahand.numerics.priors.fading import Fading
from ultrahand.numerics.priors.generalized_variation import GeneralizedVariation
from ultrahand.numerics.priors.low_rank import LowRank
from ultrahand.numerics.priors.total_variation import TotalVariation, guide_of, time_variation
from ultrahand.numerics.priors.wavelets import Wavelets

__all__ = [
    "Components",
    "Composite",
    "Direct",
    "Dual",
    "Fading",
    "GeneralizedVariation",
    "LowRank",
    "Proximal",
    "Squares",
    "TotalVariation",
    "Wavelets",
    "guide_of",
    "summed",
    "time_variation",
]
