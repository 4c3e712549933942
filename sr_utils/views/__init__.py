"""Arrays, logs and tables in, pictures out; functions return them, and only notebooks show them.

Start with `figures` (images, house style), `charts` (curves), `compare` (the slider, as widget and as page).
"""
