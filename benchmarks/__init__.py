"""Measurements beside the library's peers; none of them is a test.

    python -m benchmarks --help

From top to bottom: `__main__` runs `workloads` and `curves`, which tell the processes of `processes` what to do by the
`orders`; in these run the contestants of `peers`, as `contestant` says what one is. What was measured are the values of
`results`, which `report` and `chart` show. It needs Linux.

`statements` is a command of its own: it looks whether what the documentation says of the peers is so.

Machines are shared and noisy, so rounds of all contestants are interleaved, and only ratios of one run count.
"""
