"""The library's doors: fit, load, predict and explain from Python, over the stages and rooms that the command uses."""
