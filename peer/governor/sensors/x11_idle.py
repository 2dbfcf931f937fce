"""`python -m peer.governor.sensors.x11_idle`: prints for how many milliseconds X11 has seen nobody."""

import ctypes
import sys
from ctypes import byref, c_char_p, c_int, c_ulong, c_void_p


class _Info(ctypes.Structure):
    """XScreenSaverInfo of X11/extensions/scrnsaver.h."""

    _fields_ = (
        ("window", c_ulong), ("state", c_int), ("kind", c_int), ("til_or_since", c_ulong), ("idle", c_ulong),
        ("event_mask", c_ulong),
    )  # fmt: skip


def idle() -> int:
    """Return milliseconds.

    Raises:
        OSError: there is no X11 here, or no such extension.
    """
    xlib, saver = ctypes.CDLL("libX11.so.6"), ctypes.CDLL("libXss.so.1")
    xlib.XOpenDisplay.restype, xlib.XOpenDisplay.argtypes = c_void_p, [c_char_p]
    xlib.XDefaultRootWindow.restype, xlib.XDefaultRootWindow.argtypes = c_ulong, [c_void_p]
    saver.XScreenSaverQueryExtension.argtypes = [c_void_p, c_void_p, c_void_p]
    saver.XScreenSaverQueryInfo.argtypes = [c_void_p, c_ulong, c_void_p]
    display, info, unused = xlib.XOpenDisplay(None), _Info(), c_int()
    if not display or not saver.XScreenSaverQueryExtension(display, byref(unused), byref(unused)):
        raise OSError("no display, or without MIT-SCREEN-SAVER")
    if not saver.XScreenSaverQueryInfo(display, xlib.XDefaultRootWindow(display), byref(info)):
        raise OSError("X11 does not tell")
    return int(info.idle)


if __name__ == "__main__":
    try:
        print(idle())
    except OSError as error:
        sys.exit(str(error))
