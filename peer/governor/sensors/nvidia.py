"""GPUs of NVIDIA, through NVML: who uses them, how hot they are, what they draw."""

import importlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from peer.governor.readings import GpuUser, GpuUsers, Measured, Readings
from peer.governor.sensors.base import SensorGoneError
from peer.governor.sensors.processes import is_ours, name_of
from protocol.gpu import Gpu


class Nvml:
    """The library, found and opened when it is first needed."""

    def __init__(self, load: Callable[[], Any] = lambda: importlib.import_module("pynvml")) -> None:
        self._load = load
        self._loading = threading.Lock()
        self._library: Any = None

    @property
    def library(self) -> Any:  # noqa: ANN401 - it has no types
        """The module, ready for use.

        Raises:
            SensorGoneError: there is none, or no driver.
        """
        with self._loading:
            if self._library is None:
                try:
                    library = self._load()
                except ImportError as error:
                    raise SensorGoneError("nvidia-ml-py is not installed") from error
                try:
                    library.nvmlInit()
                except library.NVMLError as error:
                    raise SensorGoneError(f"NVIDIA's driver says: {error}") from error
                self._library = library
            return self._library

    @contextmanager
    def ask(self, gpu: Gpu) -> Iterator[tuple[Any, Any]]:
        """Lend the library and the handle of a GPU.

        Raises:
            SensorGoneError: the driver will never tell what is asked of it here.
        """
        library = self.library
        try:
            yield library, _handle(library, gpu)
        except (library.NVMLError_Timeout, library.NVMLError_Unknown, library.NVMLError_Memory):
            raise
        except library.NVMLError as error:
            raise SensorGoneError(f"NVIDIA's driver says of GPU {gpu.index}: {error}") from error


def _handle(library: Any, gpu: Gpu) -> Any:  # noqa: ANN401
    # By where it is plugged in, or by its own name: torch and NVML count GPUs in different orders.
    if gpu.address:
        return library.nvmlDeviceGetHandleByPciBusId(gpu.address)
    return library.nvmlDeviceGetHandleByUUID(gpu.uuid)


class Temperature:
    """Reads how hot each of some GPUs is."""

    def __init__(self, nvml: Nvml, gpus: tuple[Gpu, ...]) -> None:
        self._nvml = nvml
        self._gpus = gpus

    def __call__(self) -> Readings:
        """Look once."""
        return Readings(temperature=_each(self._gpus, self._read))

    def _read(self, gpu: Gpu) -> float:
        with self._nvml.ask(gpu) as (library, handle):
            core = library.NVML_TEMPERATURE_GPU
            try:
                return float(library.nvmlDeviceGetTemperature(handle, core))
            except (AttributeError, library.NVMLError_FunctionNotFound):
                # NVML 14 has it no more; drivers before 570 have nothing else.
                return float(library.nvmlDeviceGetTemperatureV(handle, core))


class Power:
    """Reads what each of some GPUs draws."""

    def __init__(self, nvml: Nvml, gpus: tuple[Gpu, ...]) -> None:
        self._nvml = nvml
        self._gpus = gpus

    def __call__(self) -> Readings:
        """Look once."""
        return Readings(power=_each(self._gpus, self._read))

    def _read(self, gpu: Gpu) -> float:
        with self._nvml.ask(gpu) as (library, handle):
            return float(library.nvmlDeviceGetPowerUsage(handle)) / 1000


def _each(gpus: tuple[Gpu, ...], read: Callable[[Gpu], float]) -> tuple[Measured, ...]:
    return tuple(Measured(f"GPU {gpu.index}", read(gpu), gpu.index) for gpu in gpus)


class Users:
    """Reads which processes, none of them ours, use some GPUs: those of the first one that others use.

    By the share of the GPU's time that each took since the last look. Where the driver does not tell that,
    whoever computes on the GPU counts, however little.
    """

    def __init__(self, nvml: Nvml, gpus: tuple[Gpu, ...]) -> None:
        self._nvml = nvml
        self._gpus = gpus
        self._since: Counter[int] = Counter()
        self._shares_told = True

    def __call__(self) -> Readings:
        """Look once."""
        told = [GpuUsers(f"GPU {gpu.index}", tuple(self._others(gpu))) for gpu in self._gpus]
        return Readings(gpu_users=max(told, key=lambda users: sum(user.share for user in users.others)))

    def _others(self, gpu: Gpu) -> Iterator[GpuUser]:
        with self._nvml.ask(gpu) as (library, handle):
            shares = self._shares(library, handle, gpu)
            if shares is None:
                running = library.nvmlDeviceGetComputeRunningProcesses(handle)
                shares = {process.pid: 1.0 for process in running}
        for pid, share in shares.items():
            # What we cannot see has ended, or runs outside our container: the driver counts from there.
            if share > 0 and (name := name_of(pid)) is not None and not is_ours(pid):
                yield GpuUser(pid, name, share)

    def _shares(self, library: Any, handle: Any, gpu: Gpu) -> dict[int, float] | None:  # noqa: ANN401
        if not self._shares_told:
            return None
        try:
            samples = library.nvmlDeviceGetProcessUtilization(handle, self._since[gpu.index])
        except (library.NVMLError_NotSupported, library.NVMLError_NoPermission):
            self._shares_told = False
            return None
        except library.NVMLError as error:
            if error.value in (library.NVML_SUCCESS, library.NVML_ERROR_NOT_FOUND):
                return {}  # nobody has used it since
            raise
        self._since[gpu.index] = max((each.timeStamp for each in samples), default=self._since[gpu.index])
        used, counted = Counter[int](), Counter(each.pid for each in samples)
        for each in samples:
            used[each.pid] += each.smUtil
        # Who was there for a part of the time has fewer samples than who was there all along.
        most = max(counted.values(), default=1)
        return {pid: total / 100 / most for pid, total in used.items()}
