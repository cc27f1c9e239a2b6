"""Outputs of the preprocessing that appear whole or not at all: staged files, the store of clip features."""
