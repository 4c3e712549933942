"""A finished run in, the report's PDF and a checked hand-in out: a folder and its zip.

Start with `submission` (folder, zip), `rules` (every rule with its figure) and `report` (the PDF).
"""
