"""Vision-language connectors: feature grids of any number of encoders in, visual tokens for a language model out.

A new connector is a file here, its settings in `settings` and an entry in `registry`. Importing this package or its settings
does not import torch.
"""
