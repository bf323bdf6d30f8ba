"""One module per domain of tools. A tool function holds a `Service` and nothing else."""
