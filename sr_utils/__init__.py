"""Tools of the mini-DIV2K ×4 super-resolution challenge.

Importing this package sets one thing, before torch is loaded: for how long its threads (of GNU's OpenMP) spin
while they wait for each other. On an idle machine that costs nothing; where a program of another terminal
keeps one of two cores busy, a step of training takes four times as long, and with torch's own setting ten
times and more. See bench/README.md.
"""

import os

os.environ.setdefault("GOMP_SPINCOUNT", "10000")
