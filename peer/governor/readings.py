"""What sensors have found at one moment."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class GpuUser:
    """A process that is none of this program's and uses the GPU."""

    pid: int
    name: str
    share: float
    """Of the GPU's time lately, 0 to 1; 1 where only its presence can be seen."""


@dataclass(frozen=True, slots=True)
class GpuUsers:
    """Who else uses a GPU."""

    gpu: str
    """As people call it: GPU 0."""
    others: tuple[GpuUser, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure of a device."""

    what: str
    """GPU 0, or the CPU."""
    value: float
    gpu: int | None = None
    """The GPU's number."""


@dataclass(frozen=True, slots=True)
class HomeSize:
    """What the home takes, and will take with its next checkpoint, in bytes."""

    taken: int
    next_checkpoint: int


@dataclass(frozen=True, slots=True)
class MonthUse:
    """Traffic of a calendar month, both ways together, in bytes."""

    used: int
    month: str
    """November."""
    until: str
    """1 December: when the next one begins."""
    left: float
    """Seconds until then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """None stands for what nothing has told."""

    gpu_users: GpuUsers | None = None
    temperature: tuple[Measured, ...] | None = None
    """Degrees Celsius of each device."""
    power: tuple[Measured, ...] | None = None
    """Watts of each."""
    idle: float | None = None
    """Seconds since a person last touched keyboard or mouse."""
    on_battery: bool | None = None
    memory: int | None = None
    """Bytes of the machine's memory that daemon and trainer take."""
    memory_needed: int | None = None
    """The same by reckoning, before the trainer takes its part; None where the weights go to a GPU."""
    home: HomeSize | None = None
    month: MonthUse | None = None


def merge(*parts: Readings) -> Readings:
    """Put together what several sensors have told; of two that tell the same, the first counts."""
    found: dict[str, object] = {}
    for part in parts:
        for field in fields(Readings):
            value = getattr(part, field.name)
            if value is not None:
                found.setdefault(field.name, value)
    return Readings(**found)  # type: ignore[arg-type]
