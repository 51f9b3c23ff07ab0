"""All SQL outside dbt and the migrations: asynchronous functions on a connection; the caller owns the transaction."""
