"""Checkpoints in the layout of the released Cambrian-1 models (Tong et al. 2024)."""
