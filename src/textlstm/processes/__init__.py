"""Child processes, signals and memory: shared by every room that starts a process."""
