"""The page of `eval.py --report`: what it shows, how that is laid out, and how it is written."""
