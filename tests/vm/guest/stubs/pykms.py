"""Stands in for kms++: picamera2 imports it for previews on a screen, which a flap has not."""


class _Names:
    def __getattr__(self, name: str) -> str:
        return name


PixelFormat = _Names()


class Card:
    """Never made."""


class ResourceManager:
    """Never made."""


class DumbFramebuffer:
    """Never made."""


class DmabufFramebuffer:
    """Never made."""
