"""The workloads: each is a module here with one function that measures it and gives its tables."""
