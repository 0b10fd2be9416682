"""Turns the spare machines of an Open Science Grid site into a cloud its VOs can use."""

__version__ = "0.1.0"
