"""What a linear operator is: the contract that every encoding step meets."""

from __future__ import annotations

from typing import Protocol

from ultrahand.records.arrays import Complex


class LinearOperator(Protocol):
    """A linear map between complex arrays, with its exact adjoint.

    Implementations are final frozen classes; nobody inherits from this one. The laws that hold
    for every member, in the inner product ``<a, b> = sum(conj(a) * b)``:

    * ``<y, forward(x)> == <adjoint(y), x>`` to the accuracy the operator states;
    * both maps are linear and leave their arguments as they were;
    * the same input gives the same bits in every run and for every number of threads.
    """

    @property
    def domain(self) -> tuple[int, ...]:
        """Shape of what `forward` takes and `adjoint` returns."""
        ...

    @property
    def codomain(self) -> tuple[int, ...]:
        """Shape of what `forward` returns and `adjoint` takes."""
        ...

    def forward(self, x: Complex, /) -> Complex:
        """Apply the operator to an array of shape `domain`.

        Raises
        ------
        ultrahand.errors.RecordError
            If the array has another shape.
        """
        ...

    def adjoint(self, y: Complex, /) -> Complex:
        """Apply the adjoint to an array of shape `codomain`.

        Raises
        ------
        ultrahand.errors.RecordError
            If the array has another shape.
        """
        ...
