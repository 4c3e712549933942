"""Photos in, batches out: photos are paired, cut into sub-images, stored in two LMDBs, and drawn as patches.

Start with `sources` (which photos), `build_store` (photos → store) and `batches` (store → batch number k).
"""
