"""What the digital hand assumes because no measurement is known: one list, for files and docs.

``truth/truth.json`` and docs/simulate.md have these lines word by word; a test holds them together.
"""

from __future__ import annotations

from typing import Final

from ultrahand.phantoms.digital_hand.fields import TRANSMIT
from ultrahand.phantoms.digital_hand.protocol import GRADIENT_DELAY_S
from ultrahand.phantoms.digital_hand.series import PAUSE_S
from ultrahand.phantoms.digital_hand.vials import LEAST_STDERR_MMOL_PER_L, RELATIVE_STDERR
from ultrahand.physics.contrast_agents import R2STAR_PER_S_PER_MMOL_PER_L

_PROTON, _SODIUM = (f"{low:g} to {high:g}" for low, high in TRANSMIT.values())

ASSUMPTIONS: Final = (
    # The person.
    (
        "size of hands: 0.95 of the published means of both sexes with 5 % of spread, both hands "
        "of a person alike to 1 %, each bone to 2 %"
    ),
    "shape and place of bones, thickness of their cortex; only their lengths are published",
    "thickness of cartilage (0.5 to 1 mm a side), of the fluid between and of the joints' lining",
    (
        "shape, place and thickness of skin, fat, muscles, tendons and their sheaths; across, the "
        "palm is one ellipse, and of its muscles only the interossei and the hypothenar are told "
        "apart"
    ),
    (
        "courses and branching of arteries and veins, a dorsal vein without a way over the knuckle "
        "joining one beside it, and lumina of all vessels but the proper digital arteries"
    ),
    "how hands lie: turned by a few degrees, two of them 18 cm apart",
    # What is wrong with it.
    (
        "which lesions the presets have, and how large; lumina and vein counts of ssc_mild, "
        "between published ones of healthy people and of patients"
    ),
    "the loss of sodium in the presets' cartilage: 100 to 130 mmol/L, healthy 159.8",
    "shape of erosions and of the rim of bone around them, length of a narrowing",
    (
        "what no artery feeds any more fills through collaterals that are not drawn: 1 s later "
        "than in health, after the first artery that is left at the wrist"
    ),
    # The contrast agent.
    (
        "transit times from arteries to veins of a digit: 8 +- 3 s (healthy), 12 +- 4 s "
        "(ssc_mild), 20 +- 6 s (ssc_severe); no value is published for the hand"
    ),
    (
        "arrival of the agent at the wrist, 20 +- 3 s in whole seconds and alike in both hands, "
        "from there to the fingertips, and its dispersion"
    ),
    (
        "uptake of the agent by tissues: transfer constant, space and delay; what a digit takes up "
        "is scaled by the share of its phalanges that its two arteries reach; where they reach "
        "none, its veins have no agent either"
    ),
    (
        "relaxivity of the agent: that of whole blood in every tissue, and "
        f"{R2STAR_PER_S_PER_MMOL_PER_L.value:g} 1/s per mmol/L for R2*"
    ),
    # Tissues and vials.
    "the entries that docs/tissues.md marks with ?",
    (
        f"error of the vials' sodium: {100 * RELATIVE_STDERR:g} %, at least "
        f"{LEAST_STDERR_MMOL_PER_L:g} mmol/L"
    ),
    # The scanner.
    f"transmit field: a smooth pattern, {_PROTON} of nominal for protons, {_SODIUM} for sodium",
    "receive arrays: smooth sums of plane waves; the level of noise and its correlation",
    "shim: 90 to 100 % of each term up to second order is taken away",
    f"gradients lag {1e6 * GRADIENT_DELAY_S:g} microseconds behind, all axes alike",
    f"{PAUSE_S:g} s pass between series",
)
"""Working assumptions: what a result that rests on them cannot prove."""
