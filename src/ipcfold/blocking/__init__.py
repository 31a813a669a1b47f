"""The blocking shell: a client and a server on the thread that calls them."""
