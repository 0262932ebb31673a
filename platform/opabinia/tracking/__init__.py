"""MLflow: sweeps and trials, their pages, and the registry of winners."""
