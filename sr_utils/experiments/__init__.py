"""Runs in, verdicts out: what one change is worth, with its interval, and which of some networks is best.

Start with `study` (paired runs of the arms in `arms`); `evaluation` ranks weights on photos.
"""
