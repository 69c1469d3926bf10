"""The mathematics that knows no MRI: the operator contract."""

from ultrahand.numerics.operator import LinearOperator

__all__ = ["LinearOperator"]
