"""The search over settings: what to try, trials in processes, a journal that survives a kill. Knows no stage."""
