"""Files that are complete or absent, locks and stores: what every room that writes to a disk shares."""
