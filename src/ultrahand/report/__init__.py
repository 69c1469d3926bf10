"""Figures and tables: they know records, not science."""
