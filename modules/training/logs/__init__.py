"""Shown and written while a run works: the bar, curves, examples, Sacred's observers."""
