"""The app of Etcetera.Exchange."""

__version__ = "0.1.0"
