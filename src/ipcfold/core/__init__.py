"""The pure core: bytes and events in, bytes and commands out. No socket, clock, thread or signal of the system."""
