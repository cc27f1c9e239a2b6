"""Predictions and truths to scores and their table, to a page to look at and to search, and to a bar chart."""
