"""Child processes, signals and the garbage collector: what every room that starts a process shares."""
