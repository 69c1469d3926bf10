"""Entries of a lesion script that are for a hand which is not made."""

from __future__ import annotations

from collections.abc import Sequence

from ultrahand.errors import InputError
from ultrahand.phantoms.digital_hand.lesion_script import table_of


def check_hands(text: str, hands: Sequence[str], name: str) -> list[str]:
    """Check that a script has something to say of the hands that are made.

    Parameters
    ----------
    text
        A script that `parse` takes.
    hands
        ``left``, ``right`` or both.
    name
        Of the script, for the message.

    Returns
    -------
    list of str
        The entries that are left out, as they are named in messages.

    Raises
    ------
    InputError
        All of its entries are left out.
    """
    table = table_of(text, name)
    entries = [
        (f"[[{key}]] {number}", entry.get("hand", "both"))
        for key, listed in table.items()
        if key != "drawn"
        for number, entry in enumerate(listed, 1)
    ]
    left_out = [where for where, hand in entries if hand not in ("both", *hands)]
    if left_out and len(left_out) == len(entries) and "drawn" not in table:
        other = {"left": "right", "right": "left"}[hands[0]]
        raise InputError(
            f"{name} {left_out[0]} hand",
            found=f"{other} in every entry, but --hand {hands[0]}",
            expected="an entry for the hand that is made",
            remedy=f"choose --hand {other} or both, or change the entries",
        )
    return left_out
