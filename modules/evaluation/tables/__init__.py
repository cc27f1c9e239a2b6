"""The tables that `eval.py` prints."""
