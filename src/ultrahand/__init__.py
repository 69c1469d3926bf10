"""Quantitative ultra-high-field MRI of the hand: raw scanner data to images, images to numbers.

Nothing heavy is loaded here; import the room that is needed, for example
``from ultrahand.io import read_raw`` or ``from ultrahand.pipelines import reconstruct``.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
