"""Failures, split by who must act. Floor 0: imports nothing of the house."""


class CatflapError(Exception):
    """Base of every failure the house names itself; its text is one sentence a person can act on."""


class ConfigError(CatflapError):
    """The owner must act: a setting, a file or an argument is not what it may be."""


class HardwareError(CatflapError):
    """The device must be looked at: a camera, a pin, a reader or a runtime failed or is missing."""


class RefusedError(HardwareError):
    """Nobody must act: the device is well and refuses for now, to protect itself; asked again later it may grant."""


class TrustError(CatflapError):
    """The sender must act: a bundle is not what its manifest says it is."""


class InputError(CatflapError):
    """Whoever named the file must act: it cannot be read as what it was given for."""
