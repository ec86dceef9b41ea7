"""What people use in Python: a pipeline that is opened, its models, and tables of what happened."""
