"""What to cite for the methods that images were made with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

_NAMED: Final = ("ReconstructionMethod", "DynamicReconstruction", "CoilCombination")
_CITATIONS: Final = {
    "": (
        (
            "Inati SJ et al. ISMRM Raw data format: a proposed standard for MRI raw datasets. "
            "Magn Reson Med 2017;77:411. doi:10.1002/mrm.26089"
        ),
    ),
    "gridding": (
        (
            "Pipe JG, Menon P. Sampling density compensation in MRI. Magn Reson Med 1999;41:179. "
            "doi:10.1002/(SICI)1522-2594(199901)41:1<179::AID-MRM25>3.0.CO;2-V"
        ),
        (
            "Beatty PJ, Nishimura DG, Pauly JM. Rapid gridding reconstruction with a minimal "
            "oversampling ratio. IEEE Trans Med Imaging 2005;24:799. doi:10.1109/TMI.2005.848376"
        ),
    ),
    "sense": (
        (
            "Pruessmann KP, Weiger M, Börnert P, Boesiger P. Advances in sensitivity encoding with "
            "arbitrary k-space trajectories. Magn Reson Med 2001;46:638. doi:10.1002/mrm.1241"
        ),
    ),
    "cs": (
        (
            "Lustig M, Donoho D, Pauly JM. Sparse MRI: the application of compressed sensing for "
            "rapid MR imaging. Magn Reson Med 2007;58:1182. doi:10.1002/mrm.21391"
        ),
    ),
    "cg": (
        (
            "Pruessmann KP, Weiger M, Börnert P, Boesiger P. Advances in sensitivity encoding with "
            "arbitrary k-space trajectories. Magn Reson Med 2001;46:638. doi:10.1002/mrm.1241"
        ),
    ),
    "grappa": (
        (
            "Griswold MA et al. Generalized autocalibrating partially parallel acquisitions "
            "(GRAPPA). Magn Reson Med 2002;47:1202. doi:10.1002/mrm.10171"
        ),
    ),
    "grasp": (
        (
            "Feng L et al. Golden-angle radial sparse parallel MRI. Magn Reson Med 2014;72:707. "
            "doi:10.1002/mrm.24980"
        ),
    ),
    "low-rank-sparse": (
        (
            "Otazo R, Candès E, Sodickson DK. Low-rank plus sparse matrix decomposition for "
            "accelerated dynamic MRI. Magn Reson Med 2015;73:1125. doi:10.1002/mrm.25240"
        ),
    ),
    "subspace": (
        (
            "Tamir JI et al. T2 shuffling: sharp, multicontrast, volumetric fast spin-echo "
            "imaging. Magn Reson Med 2017;77:180. doi:10.1002/mrm.26102"
        ),
    ),
    "view-sharing": (
        (
            "Song HK, Dougherty L. k-space weighted image contrast (KWIC) for contrast "
            "manipulation in projection reconstruction MRI. Magn Reson Med 2000;44:825. "
            "doi:10.1002/1522-2594(200012)44:6<825::AID-MRM1>3.0.CO;2-D"
        ),
    ),
    "espirit": (
        (
            "Uecker M et al. ESPIRiT: an eigenvalue approach to autocalibrating parallel MRI. Magn "
            "Reson Med 2014;71:990. doi:10.1002/mrm.24751"
        ),
    ),
    "rss": (
        (
            "Roemer PB et al. The NMR phased array. Magn Reson Med 1990;16:192. "
            "doi:10.1002/mrm.1910160203"
        ),
    ),
    "walsh": (
        (
            "Walsh DO, Gmitro AF, Marcellin MW. Adaptive reconstruction of phased array MR "
            "imagery. Magn Reson Med 2000;43:682. "
            "doi:10.1002/(SICI)1522-2594(200005)43:5<682::AID-MRM10>3.0.CO;2-G"
        ),
    ),
}
"""Method, or way to combine coils, to what it is from; the first for every examination."""


def citations(sidecars: Iterable[Mapping[str, object]]) -> tuple[str, ...]:
    """Return what to cite for images, each once.

    Parameters
    ----------
    sidecars
        Fields of the images.
    """
    used = {""}
    for sidecar in sidecars:
        used |= {str(sidecar.get(name)) for name in _NAMED}
    return tuple(text for name in _CITATIONS if name in used for text in _CITATIONS[name])
