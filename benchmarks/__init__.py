"""Side-by-side measurements; each prints one table and a ratio."""
