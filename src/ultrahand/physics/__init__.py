"""Physics of the spins: constants and signal equations that do not know any file or scanner."""
