"""Speed, accuracy and memory on this machine, beside the peers that are installed.

One problem a file, one peer a file in `ultrahand.bench.peers`; the table is `catalogue.PROBLEMS`.
"""
