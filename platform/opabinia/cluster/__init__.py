"""What hardware is there, and the services a sweep needs on one machine: a Ray head and an MLflow server."""
