"""Two versions side by side: what differs of their data, model, features and figures, told from the records.

`read` finds what is stored of both, `compare` tells it as lines, `predicted` lets both predict the same rows.
"""
