"""Figures, tables and the page of an examination: they know records, not science."""
