"""Files that are complete or absent, locks and stores, shared by every room that writes to a disk."""
