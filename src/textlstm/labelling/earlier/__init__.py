"""Labels of an earlier output that a job keeps: whole parts by their bytes, single rows by their texts."""
