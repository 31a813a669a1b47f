"""The parts that every shell over unix sockets shares: directories, names, credentials, and a server's sockets."""
