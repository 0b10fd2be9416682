"""One check a function; ``TABLE`` in doctor.py names them in the order in which they are made."""
