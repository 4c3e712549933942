"""Photos in, batches out: photos are paired, cut into sub-images, stored in two LMDBs, and drawn as patches.

Start with `sources` (which photos), `pair` (one photo in both sizes), `build_store` (photos → store) and
`batches` (store → batch number k); `windows` plans a store, `write_store` writes it, `store` reads it.
"""
