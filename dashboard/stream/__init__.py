"""The live stream: one listener on the database, any number of clients."""
