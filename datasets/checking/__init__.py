"""Checks of whole data roots, and the report of what they find."""
