"""Checks of settings and command lines."""
