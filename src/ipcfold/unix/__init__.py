"""The blocking shell: the core over unix sockets."""
