"""A server over HTTP: `delivery` sends batches to it, `reading` asks it, `http` is the connection of both."""
