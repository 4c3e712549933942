"""Runs in, verdicts out: all of them in a table, and what one change is worth, with its interval.

Start with `runs` (the shelf) and `study` (paired runs of the arms in `arms`); `chosen` keeps the run chosen
last, `collection` loads networks to compare, `evaluation` ranks them on photos.
"""
