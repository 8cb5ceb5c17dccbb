"""The errors a user can cause.

Each message is one line that says what was wrong, where, what was expected and
what was received. The command line prints it and ends with exit code 2.
"""


class DeepCpgError(Exception):
    """Base class of every error that a user can cause and mend."""


class ConfigError(DeepCpgError, ValueError):
    """An architecture that cannot exist, or a configuration that cannot be read."""


class CheckpointError(DeepCpgError):
    """A checkpoint that is missing, damaged, incomplete or of an unsupported kind."""


class DownloadError(DeepCpgError):
    """A published file that could not be fetched or does not match its checksum."""


class SequenceError(DeepCpgError, ValueError):
    """A sequence with a foreign character or of the wrong length."""


class GenomeError(DeepCpgError):
    """A reference genome that cannot be read or lacks a chromosome."""


class SiteError(DeepCpgError, ValueError):
    """A site that cannot be read, or that does not lie where it should."""


class InputError(DeepCpgError):
    """An input file that is not there."""


class OutputError(DeepCpgError):
    """An output that cannot be written where it was asked for."""
