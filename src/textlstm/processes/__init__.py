"""Child processes, signals and the garbage collector: shared by every room that starts a process."""
