"""A config and a store in, a run's folder out: weights, log, and the states from which it goes on.

Start with `train`, the loop; `run` is where it goes on and what it saves, `state` what a step changes,
`run_files` what lies in the folder.
"""
