"""Checkpoints of a run that goes on: sharded, written in the background, complete or absent, and without a pickle.

checkpoints     one run's checkpoints below one address: when, save, latest, load
config, policy  when to save, and which to keep
state           what a checkpoint holds; optimiser_state, random_state, frozen are its parts
staging, group  a copy of the tensors in host memory; the workers that save together
writer, reader  torch.distributed.checkpoint on the files of storage/; tensor_file is one of those files
manifest, table what says that a checkpoint is complete, and where in it each tensor lies
layout, removing  which checkpoints there are below an address; taking one away

A checkpoint is a folder `step-00000120-temporary-1f2e3d4c` (or `-permanent-`):
  worker-00000-0000.safetensors …  tensors, each worker its own share
  tensors.json                     where each tensor, or each shard of it, lies
  state.json                       the optimiser's groups and the schedule
  manifest.json                    step, versions, data position, and size and SHA-256 of every other file; written last
"""
