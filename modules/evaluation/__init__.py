"""What `eval.py` shows beside its table: a page to look at and to search (`page`), and a bar chart (`plot`)."""
