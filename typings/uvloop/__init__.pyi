# What the benchmarks use of it. It has types of its own; here they are for checkouts without it.
from asyncio import AbstractEventLoop

def new_event_loop() -> AbstractEventLoop: ...
