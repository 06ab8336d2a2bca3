"""What every Python worker shares: the protocol, and how one workload is timed.

A worker reads lines `NAME SECONDS` and answers `NAME TIME PEAK`: seconds of one call, on average over as many calls as
SECONDS allow, and the kB by which memory grew at most meanwhile; `NAME -` where the library has no such thing.
"""

import gc
import sys
import time


def status(field):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(field))


def reset_peak():
    try:
        with open("/proc/self/clear_refs", "w") as f:
            f.write("5")
    except OSError:
        pass


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
        wanted, seconds = line.split()
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
