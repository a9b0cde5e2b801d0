"""catflap on the device: see, judge, move the bolt, record."""

__version__ = "0.1.0"
