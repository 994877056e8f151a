"""The Cloud Functions shell. `main.py` holds the entry points and nothing else."""
