"""The toy world: what there is in it, how it is drawn, and what is asked about it. `preproc/make_toy.py` writes it."""
