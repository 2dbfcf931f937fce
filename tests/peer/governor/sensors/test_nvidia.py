"""NVIDIA's GPUs through a library that answers as NVML does: with handles, samples, and many errors."""

# ruff: noqa: N802 - the names are NVML's

from types import SimpleNamespace

import pytest

from peer.governor.readings import GpuUser, GpuUsers, Measured
from peer.governor.sensors import nvidia
from peer.governor.sensors.base import SensorGoneError
from peer.governor.sensors.nvidia import Nvml, Power, Temperature, Users
from protocol.gpu import Gpu

GPUS = (
    Gpu(index=1, name="RTX 4090", memory=24, vendor="nvidia", address="0000:a1:00.0", uuid="GPU-a"),
    Gpu(index=2, name="RTX 4090", memory=24, vendor="nvidia", address="", uuid="GPU-b"),
)


class NVMLError(Exception):
    value = 999


def _error(name, value):
    return type(name, (NVMLError,), {"value": value})


class FakeNvml:
    """What pynvml is to us. Figures are by handle; an exception in their place is raised."""

    NVML_TEMPERATURE_GPU = 0
    NVML_SUCCESS, NVML_ERROR_NOT_FOUND = 0, 6
    NVMLError = NVMLError
    NVMLError_NotSupported = _error("NotSupported", 3)
    NVMLError_NoPermission = _error("NoPermission", 4)
    NVMLError_NotFound = _error("NotFound", 6)
    NVMLError_Timeout = _error("Timeout", 10)
    NVMLError_FunctionNotFound = _error("FunctionNotFound", 13)
    NVMLError_GpuIsLost = _error("GpuIsLost", 15)
    NVMLError_Memory = _error("Memory", 20)
    NVMLError_Unknown = _error("Unknown", 999)

    def __init__(self, **figures):
        self.figures = figures
        self.inits = 0
        self.since = []

    def nvmlInit(self):
        self.inits += 1
        self._tell("init", None)

    def nvmlDeviceGetHandleByPciBusId(self, address):
        return f"at {address}"

    def nvmlDeviceGetHandleByUUID(self, uuid):
        return f"called {uuid}"

    def nvmlDeviceGetTemperature(self, handle, sensor):
        assert sensor == self.NVML_TEMPERATURE_GPU
        return self._tell("temperature", handle)

    def nvmlDeviceGetTemperatureV(self, handle, sensor):
        return self._tell("temperature_v", handle)

    def nvmlDeviceGetPowerUsage(self, handle):
        return self._tell("power", handle)

    def nvmlDeviceGetProcessUtilization(self, handle, since):
        self.since.append(since)
        return [SimpleNamespace(pid=p, timeStamp=t, smUtil=u) for p, t, u in self._tell("samples", handle)]

    def nvmlDeviceGetComputeRunningProcesses(self, handle):
        return [SimpleNamespace(pid=pid) for pid in self._tell("running", handle)]

    def _tell(self, what, handle):
        told = self.figures.get(what)
        told = told.get(handle) if isinstance(told, dict) else told
        if isinstance(told, Exception):
            raise told
        return told


@pytest.fixture(autouse=True)
def processes(monkeypatch):
    """4242 is blender, 7 is the trainer, 999 cannot be seen from here."""
    monkeypatch.setattr(nvidia, "name_of", lambda pid: {4242: "blender", 7: "python3", 8: "Xorg"}.get(pid))
    monkeypatch.setattr(nvidia, "is_ours", lambda pid: pid == 7)


def users(library, gpus=GPUS[:1]):
    return Users(Nvml(lambda: library), gpus)


def test_heat_and_power_of_each_of_several_are_told():
    library = FakeNvml(
        temperature={"at 0000:a1:00.0": 61, "called GPU-b": 84},
        power={"at 0000:a1:00.0": 287_400, "called GPU-b": 120_000},
    )
    nvml = Nvml(lambda: library)
    assert Temperature(nvml, GPUS)().temperature == (Measured("GPU 1", 61, 1), Measured("GPU 2", 84, 2))
    assert Power(nvml, GPUS)().power == (Measured("GPU 1", 287.4, 1), Measured("GPU 2", 120, 2))
    assert library.inits == 1


def test_a_driver_without_the_old_question_for_heat_is_asked_the_new_one():
    library = FakeNvml(temperature=FakeNvml.NVMLError_FunctionNotFound(), temperature_v=55)
    assert Temperature(Nvml(lambda: library), GPUS[:1])().temperature == (Measured("GPU 1", 55.0, 1),)


def test_others_are_told_by_the_time_that_they_take():
    samples = [(7, 100, 99), (7, 200, 97), (4242, 100, 60), (4242, 200, 40), (8, 200, 2), (999, 200, 90)]
    library = FakeNvml(samples=samples)
    read = users(library)
    assert read().gpu_users == GpuUsers("GPU 1", (GpuUser(4242, "blender", 0.5), GpuUser(8, "Xorg", 0.01)))
    read()
    assert library.since == [0, 200]


@pytest.mark.parametrize("error", [FakeNvml.NVMLError_NotFound(), _error("Success", 0)()])
def test_no_sample_is_nobody(error):
    assert users(FakeNvml(samples=error))().gpu_users == GpuUsers("GPU 1", ())


@pytest.mark.parametrize("error", [FakeNvml.NVMLError_NotSupported(), FakeNvml.NVMLError_NoPermission()])
def test_where_shares_are_not_told_who_computes_counts(error):
    library = FakeNvml(samples=error, running=[7, 4242, 999])
    read = users(library)
    assert read().gpu_users == read().gpu_users == GpuUsers("GPU 1", (GpuUser(4242, "blender", 1.0),))
    assert len(library.since) == 1


def test_of_several_gpus_the_one_that_others_use_is_told():
    told = users(FakeNvml(samples={"at 0000:a1:00.0": [], "called GPU-b": [(4242, 1, 50)]}), GPUS)().gpu_users
    assert (told.gpu, [user.pid for user in told.others]) == ("GPU 2", [4242])


@pytest.mark.parametrize(
    ("library", "reason"),
    [
        (FakeNvml(init=_error("DriverNotLoaded", 9)("Driver Not Loaded")), "driver says: Driver Not Loaded"),
        (FakeNvml(power=FakeNvml.NVMLError_NotSupported("Not Supported")), "of GPU 1: Not Supported"),
        (FakeNvml(power=FakeNvml.NVMLError_GpuIsLost("GPU is lost")), "of GPU 1: GPU is lost"),
    ],
)
def test_what_will_never_be_told_is_given_up_with_the_drivers_words(library, reason):
    with pytest.raises(SensorGoneError, match=reason):
        Power(Nvml(lambda: library), GPUS[:1])()


def test_without_the_library_it_says_so():
    def load():
        raise ImportError

    with pytest.raises(SensorGoneError, match="not installed"):
        Power(Nvml(load), GPUS)()


def test_what_may_be_told_next_time_is_a_failure_of_this_look_alone():
    with pytest.raises(FakeNvml.NVMLError_Timeout):
        Power(Nvml(lambda: FakeNvml(power=FakeNvml.NVMLError_Timeout())), GPUS[:1])()


def test_the_real_library_has_all_that_is_asked_of_it():
    pynvml = pytest.importorskip("pynvml")
    wanted = [name for name in dir(FakeNvml) if name.startswith(("nvml", "NVML"))]
    assert [name for name in wanted if not hasattr(pynvml, name)] == []
    with pytest.raises(SensorGoneError, match="NVIDIA's driver says: "):
        Nvml(lambda: _without_driver(pynvml)).library  # noqa: B018


def _without_driver(pynvml):
    """The real module, as on a machine without a driver, wherever this runs."""
    error = pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    def init():
        raise error

    return SimpleNamespace(nvmlInit=init, NVMLError=pynvml.NVMLError)
