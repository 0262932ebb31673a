"""What the training loop needs of the hardware under it, and how Ray Train sets its workers up for it.

config, choose   which hardware: the experiment file says it, or the cluster shows it; opens the backend in a worker
backend          what the loop may ask of any of them
native           any device that torch drives itself; cpu, cuda and tpu say how theirs differ
xla              PyTorch/XLA: the devices of a host, or of a whole TPU slice, as one
workers          Ray Train's settings for so many workers on that hardware; xla_workers is its set-up for PyTorch/XLA
exchange, tensors  sums over the workers through host memory; applying something to all tensors of a batch
"""
