"""Where jobs are kept: the file, its tables, and the jobs that have not ended in memory."""
