"""Trains adaptors on the user's own model, prompts only (paper, "Training with unrolled trajectories")."""
