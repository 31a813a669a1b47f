# What the benchmarks use of it. It has types of its own; here they are for checkouts without it.
rcParams: dict[str, str | float]
