"""The catalogue of failures: each has a number, what happened, and how to mend it.

The number is the process's exit code and part of the contract with programs; it never changes meaning.
"""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of the command `peer`."""

    DONE = 0
    INTERNAL = 1
    USAGE = 2
    RUN_FILE = 10
    MANIFEST_MISMATCH = 11
    MANIFEST_INVALID = 12
    BOOTSTRAP_UNREACHABLE = 20
    LISTEN_FAILED = 21
    HOME_IN_USE = 30
    HOME_UNUSABLE = 31
    NOT_RUNNING = 32
    IDENTITY_INVALID = 33
    CHECKPOINT_INVALID = 34
    LIMITS_INVALID = 35
    DATA_INVALID = 40
    DEVICE_UNAVAILABLE = 41
    TRAINER_FAILED = 42
    SWARM_FAILED = 50
    DOCTOR_FOUND = 60
    EXPORT_REFUSED = 75
    REPLICAS_DIFFER = 76
    MODEL_INVALID = 77
    DASHBOARD_MISSING = 80
    DASHBOARD_FAILED = 81
    EXTRA_MISSING = 85
    BASE_INVALID = 90
    TASK_INVALID = 92
    NOTHING_MEASURED = 95
    INTERRUPTED = 130


class PeerError(Exception):
    """A failure that a person can mend; it becomes one line and an exit code, never a traceback.

    Attributes:
        message: what happened and where.
        remedy: what to do about it.
    """

    code: Exit = Exit.INTERNAL

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}. {self.remedy}"


def of_another_process(code: int, message: str, remedy: str) -> PeerError:
    """Return the error that another process of ours has described, as an object of its own class."""
    kinds = (kind for kind in PeerError.__subclasses__() if kind.__module__ == __name__)
    kind = next((kind for kind in kinds if kind.code == code), PeerError)
    error = kind.__new__(kind)  # some make their message themselves
    PeerError.__init__(error, message, remedy)
    return error


class UsageError(PeerError):
    """The command line asks for something that cannot be."""

    code = Exit.USAGE


class RunFileError(PeerError):
    """`run.toml` has an unknown key or an impossible value; the message names the line."""

    code = Exit.RUN_FILE


class ManifestMismatchError(PeerError):
    """Two peers hold different manifests; the message names the differing fields."""

    code = Exit.MANIFEST_MISMATCH


class ManifestInvalidError(PeerError):
    """A manifest's hash, signature, encoding or a value in it is wrong."""

    code = Exit.MANIFEST_INVALID


class BootstrapError(PeerError):
    """None of the bootstrap addresses answered."""

    code = Exit.BOOTSTRAP_UNREACHABLE


class ListenError(PeerError):
    """The listening address is malformed, or cannot be bound."""

    code = Exit.LISTEN_FAILED


class HomeInUseError(PeerError):
    """Another daemon holds the home folder."""

    code = Exit.HOME_IN_USE


class HomeError(PeerError):
    """The home folder cannot be read, written, or belongs to another run."""

    code = Exit.HOME_UNUSABLE


class NotRunningError(PeerError):
    """No daemon runs in the home folder."""

    code = Exit.NOT_RUNNING


class IdentityError(PeerError):
    """`identity.key` is damaged."""

    code = Exit.IDENTITY_INVALID


class CheckpointError(PeerError):
    """A checkpoint is missing parts, damaged, or of another model."""

    code = Exit.CHECKPOINT_INVALID


class LimitsError(PeerError):
    """`limits.toml` is wrong, or asks for what nothing on this machine can watch."""

    code = Exit.LIMITS_INVALID


class DataError(PeerError):
    """The training text or tokenizer is missing, too short, or differs from the manifest's hash."""

    code = Exit.DATA_INVALID


class DeviceError(PeerError):
    """The device that was asked for is not there."""

    code = Exit.DEVICE_UNAVAILABLE


class TrainerError(PeerError):
    """The trainer process keeps dying."""

    code = Exit.TRAINER_FAILED


class SwarmError(PeerError):
    """`peer swarm` could not bring its peers through the run."""

    code = Exit.SWARM_FAILED


class NothingMeasuredError(PeerError):
    """A plan was to be set beside a run that measured nothing."""

    code = Exit.NOTHING_MEASURED


class ExportError(PeerError):
    """The folder to export to is in use, or cannot be written; or the format cannot hold the model."""

    code = Exit.EXPORT_REFUSED


class ReplicasDifferError(PeerError):
    """The replicas to average are of different runs."""

    code = Exit.REPLICAS_DIFFER


class ModelError(PeerError):
    """The folder holds no exported model, or a damaged one."""

    code = Exit.MODEL_INVALID


class ExtraMissingError(PeerError):
    """An optional part of the program is not installed."""

    code = Exit.EXTRA_MISSING

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs the extra `{extra}`", f"Install it: pip install 'murmuration-peer[{extra}]'"
        )


class BaseModelError(PeerError):
    """The pretrained model is missing, cannot be used, or is not the one that the run's manifest names."""

    code = Exit.BASE_INVALID


class TaskError(PeerError):
    """The run's task is not installed here, is of another version, or is wrong."""

    code = Exit.TASK_INVALID


class NoDashboardError(PeerError):
    """`peer dashboard` finds neither Prometheus nor a container engine."""

    code = Exit.DASHBOARD_MISSING


class DashboardError(PeerError):
    """`peer dashboard`: Prometheus or Grafana does not start, or ended."""

    code = Exit.DASHBOARD_FAILED
