"""The assembled multimodal language model: answers, checkpoints, settings of its parts."""
