"""Temporal Referring Modeling: questions about the order of captioned clips, and the samples that ask them."""
