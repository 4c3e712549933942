"""An image and a network in, the ×4 image out, in bounded memory; for one image, files or whole folders.

Start with `infer`; `tiles` cuts what is too large, `ensemble` averages eight answers, `inputs` reads ahead,
`outputs` knows which files are ours.
"""
