"""Sentences that say what kind of answer is wanted, so that a model trained on short answers still talks at length when it may.

Tong et al. 2024, §5.3, "answer machine phenomenon", with ten kinds of such prompts and the sources that each is added to.
"""
