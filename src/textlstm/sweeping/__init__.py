"""The search over settings: proposals, trials in processes, a journal that survives a kill. Knows no stage."""
