"""What every Python worker shares: the protocol, and how one workload is timed.

A worker reads lines `NAME SECONDS` and answers `NAME TIME PEAK`: seconds of one call, on average over as many calls as
SECONDS allow, and the kB by which memory grew at most meanwhile; `NAME -` where the library has no such thing. `NAME CALLS peak` makes
that many calls and answers `NAME PEAK`: the kB that the whole process took at most, since it was started if that is the first line.
"""

import gc
import os
import sys
import time

import numpy

# Shapes of the data and of the weights, stride, padding and groups.
CONVOLUTIONS = {
    "3x3": ((8, 64, 56, 56), (64, 64, 3, 3), 1, 1, 1),
    "small": ((128, 64, 16, 16), (64, 64, 3, 3), 1, 1, 1),
    "1x1": ((8, 256, 56, 56), (64, 256, 1, 1), 1, 0, 1),
    "7x7": ((8, 3, 224, 224), (64, 3, 7, 7), 2, 3, 1),
    "depthwise": ((8, 128, 56, 56), (128, 1, 3, 3), 1, 1, 128),
}


def product(size, flags):
    """Shapes of the two sides, and whether each is to be transposed."""
    m, k, n = (64, 4096, 1000) if size == "skinny" else [int(size)] * 3
    ta, tb = "t" in flags[:1], "t" in flags[1:]
    return (k, m) if ta else (m, k), (n, k) if tb else (k, n), ta, tb


def status(field):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(field))


def reset_peak():
    try:
        with open("/proc/self/clear_refs", "w") as f:
            f.write("5")
    except OSError:
        pass


def digits():
    """The test digits of MNIST: uint8 of 10000 x 28 x 28, and int32 labels. Nothing where they are missing."""
    path = lambda name: os.path.join(os.environ.get("MNIST", "data/mnist"), "t10k-" + name + "-ubyte")
    if not os.path.exists(path("images-idx3")):
        return None
    pictures = numpy.fromfile(path("images-idx3"), "uint8", offset=16).reshape(-1, 28, 28)
    return pictures, numpy.fromfile(path("labels-idx1"), "uint8", offset=8).astype("int32")


def over(batches, step):
    def epoch():
        for x, y in batches:
            step(x, y)

    return epoch


def timed(call, finish, seconds):
    call()
    finish()
    count = 1
    while True:
        start = time.perf_counter()
        for _ in range(count):
            call()
        finish()
        spent = time.perf_counter() - start
        if spent >= seconds / 2:
            return spent / count
        count = max(2 * count, int(count * seconds / max(spent, 1e-6) * 0.8))


def serve(make, finish=lambda: None):
    """make(name) prepares a workload and gives a function without arguments, or None. It is kept until another is asked for."""
    name, call = None, None
    print("ready", flush=True)
    for line in sys.stdin:
        wanted, seconds, *peak = line.split()
        if peak:
            call = make(wanted)
            for _ in range(int(seconds)):
                call()
            finish()
            print(wanted, status("VmHWM"), flush=True)
            continue
        if wanted != name:
            call = None
            gc.collect()
            reset_peak()
            base = status("VmRSS")
            name, call = wanted, make(wanted)
        if call is None:
            print(name, "-", flush=True)
        else:
            spent = timed(call, finish, float(seconds))
            print(name, spent, status("VmHWM") - base, flush=True)
