"""Speed, error and memory on this machine, beside the peers; one file a problem."""
