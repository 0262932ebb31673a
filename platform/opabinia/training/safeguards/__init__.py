"""What keeps a run from harm: steps that are skipped, errors that end it, machines that are taken away."""
