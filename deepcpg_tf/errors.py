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


class ProfileError(DeepCpgError, ValueError):
    """A methylation profile that cannot be read, or does not fit the reference."""


class InputError(DeepCpgError, ValueError):
    """An input that is not there, or is not what is read: a file, or an array."""


class OutputError(DeepCpgError):
    """An output that cannot be written where it was asked for."""


class TrainingError(DeepCpgError):
    """A training that cannot start, or that diverged."""


class TableError(DeepCpgError):
    """A methylation table that cannot be built or read, or that has another reference."""


class SplitError(DeepCpgError, ValueError):
    """A split into train, validation and test that cannot be made."""


class LegacyDataError(DeepCpgError):
    """A data file of the original that is damaged, foreign, or disagrees with another."""


class AnnotationError(DeepCpgError, ValueError):
    """An annotation file that cannot be read, or that lies on other chromosomes."""


class VariantError(DeepCpgError, ValueError):
    """A file of variants that cannot be read, or that lies on another genome."""


class EvaluationError(DeepCpgError, ValueError):
    """Labels and probabilities that do not fit together, or that are none."""


class ExportError(DeepCpgError):
    """A model that cannot be exported, or an export that is damaged or not equal to it."""


class MissingPackageError(DeepCpgError, ImportError):
    """A package that some work needs and that an extra of the installation brings."""
