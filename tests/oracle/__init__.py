"""An independent calculation of the marts in plain Python, from events and settings: it walks windows, date by date."""
