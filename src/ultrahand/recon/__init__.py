"""From readouts to images: pure functions on records and arrays."""
