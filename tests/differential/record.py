"""Draws calls of operators and records what the real MXNet 1.9.1 makes of them, as conformance cases.

    python record.py --cases DIR --ops ops.json --out DIR [--each N] [--seed S] [--mistakes] [--odd] [--op NAME]...
    conformance DIR

Needs a Python with mxnet 1.9.1 and numpy 1.23; no test runs it. A drawn call is a recorded one with changes: other sizes for
its axes, other data, other dtypes, other values of its parameters, gradients that are added; with `--mistakes` each has something
that cannot be right: a size, a dtype, a parameter, a number of inputs; with `--odd` data holds zeros of both signs, NaN,
infinities, equal and very large and small numbers. What MXNet refuses is recorded as an error; what ends its process, or differs when it is repeated, is left out.
"""

import argparse
import collections
import ctypes
import glob
import json
import os
import random
import signal
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MXNET_ENGINE_TYPE", "NaiveEngine")

import mxnet as mx
import numpy as np
from mxnet._ctypes import ndarray as imperative
from mxnet.base import _LIB, OpHandle, c_str, check_call

FLOATS = ["float32", "float64", "float16"]
INTS = ["int32", "int64", "int8", "uint8"]
TOLERANCES = {"float16": (2e-2, 1e-2), "float32": (2e-4, 2e-5), "float64": (1e-6, 1e-7)}
# Drawn at random by MXNet, or dependent on memory that it left unset.
LEFT_OUT = {"amp_multicast", "_random_uniform", "Custom", "_contrib_dgl_subgraph"}


def number(x):
    x = float(x)
    return {"nan": "nan", "inf": "inf", "-inf": "-inf"}.get(str(x), x)


def tensor(a):
    a = np.asarray(a)
    if a.dtype.kind == "f":
        data = [number(x) for x in a.ravel()]
    else:
        data = [int(x) for x in a.ravel()]
    return {"shape": list(a.shape), "dtype": a.dtype.name, "data": data}


def values(t):
    data = np.array([float(x) if isinstance(x, str) else x for x in t["data"]])
    return data.reshape(t["shape"]).astype(t["dtype"])


def written(v):
    if isinstance(v, (list, tuple)):
        return "(" + ", ".join(written(x) for x in v) + ("," if len(v) == 1 else "") + ")"
    return str(v)


def handle(name):
    h = OpHandle()
    check_call(_LIB.NNGetOpHandle(c_str(name), ctypes.byref(h)))
    return h.value


def call(case):
    """One run: everything that a case records of it."""
    plain = [mx.nd.array(values(t), dtype=t["dtype"]) if np.prod(t["shape"]) else mx.nd.zeros(t["shape"]) for t in case["inputs"]]
    aux = [mx.nd.array(values(t), dtype=t["dtype"]) for t in case.get("aux", [])]
    for x, t in zip(plain + aux, case["inputs"] + case.get("aux", [])):
        if list(x.shape) != list(t["shape"]):
            raise ValueError("MXNet has no such shape")
    everything, rest = [], iter(plain)
    for i in range(len(plain) + len(aux)):
        at = case.get("aux_index", [])
        everything.append(aux[at.index(i)] if i in at and at.index(i) < len(aux) else next(rest))
    wanted = case.get("wanted") or []
    for i, x in enumerate(plain):
        if i < len(wanted) and wanted[i]:
            x.attach_grad(case.get("grad_req", "write"))
            if "grad_init" in case and case["grad_init"][i]:
                x.grad[:] = mx.nd.array(values(case["grad_init"][i]), dtype=x.dtype)
    out = [everything[i] for i in case["out_index"]] if "out_index" in case else None
    keys, vals = list(case["attrs"]), [written(v) for v in case["attrs"].values()]

    def run():
        return imperative._imperative_invoke(handle(case["op"]), everything, keys, vals, out, False, True)

    made = {}
    with mx.autograd._RecordingStateScope(any(wanted) or None, bool(case["train"])):
        outputs = run()
        mx.nd.waitall()
    made["outputs"] = [tensor(o.asnumpy()) for o in outputs]
    if aux:
        made["aux_after_forward"] = [tensor(x.asnumpy()) for x in aux]
    if any(wanted):
        rng = np.random.RandomState(case["salt"])
        heads, grads, recorded = [], [], []
        used = case["heads"]
        for i, o in enumerate(outputs):
            if o.dtype in (np.float32, np.float64, np.float16) and (i >= len(used) or used[i]):
                g = mx.nd.array(rng.uniform(-2, 2, o.shape).round(2), dtype=o.dtype)
                heads.append(o), grads.append(g), recorded.append(tensor(g.asnumpy()))
            else:
                recorded.append(None)
        try:
            mx.autograd.backward(heads, grads, train_mode=bool(case["train"]))
            made["head_grads"] = recorded
            made["input_grads"] = [
                tensor(x.grad.asnumpy()) if i < len(wanted) and wanted[i] else None for i, x in enumerate(plain)
            ]
            mx.nd.waitall()
        except mx.base.MXNetError:
            pass
    if aux:
        made["aux_after"] = [tensor(x.asnumpy()) for x in aux]
    return made


def attempt(case):
    """What MXNet makes of a call, and the last line of its refusal."""
    try:
        return call(case), None
    except (mx.base.MXNetError, ValueError) as e:
        return None, next(line for line in str(e).splitlines()[::-1] if line.strip())


class Drawer:
    """Changes recorded cases of one operator."""

    def __init__(self, op, cases, rng, mistakes=False, odd=False):
        self.op, self.cases, self.rng, self.mistakes, self.odd = op, cases, rng, mistakes, odd
        self.seen = collections.defaultdict(list)
        for c in cases:
            for k, v in c["attrs"].items():
                if v not in self.seen[k]:
                    self.seen[k].append(v)

    def parameter(self, p, old):
        r, kind, options = self.rng, p["type"], list(self.seen[p["name"]])
        if kind.startswith("{"):
            options = [x.strip().strip("'") for x in kind[1 : kind.index("}")].split(",")]
            options = [None if x == "None" else x for x in options]
        elif kind.startswith("boolean"):
            options = [True, False]
        elif isinstance(old, bool):
            options = [True, False]
        elif kind.startswith(("int", "long")) and "non-negative" in kind:
            options += [0, 1, 2, 3]
        elif kind.startswith(("int", "long")):
            options += [-1, -2, 0, 1, 2, 3, -3]
        elif kind.startswith(("float", "double")):
            options += [0.5, 0.1, 1.0, 2.0, 0.0, -0.7, round(r.uniform(-3, 3), 2)]
        elif kind.startswith(("Shape", "tuple of")):
            like = old if isinstance(old, list) else r.choice(options) if options else [1, 2]
            if isinstance(like, list) and all(isinstance(x, int) for x in like):
                options.append([max(0, x + r.choice([0, 0, 1, -1, 2])) for x in like])
                options.append([x if r.random() < 0.6 else r.choice([-1, 0, 1, 2, 3]) for x in like])
                options.append(r.sample(like, len(like)))
        return r.choice(options) if options else old

    def sizes(self, case):
        r, tensors = self.rng, case["inputs"] + case.get("aux", [])
        sizes = sorted({d for t in tensors for d in t["shape"] if d > 0})
        if not sizes:
            return
        chosen = sizes if r.random() < 0.4 else [r.choice(sizes)]
        to = {d: r.choice([1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 17]) for d in chosen if d <= 40 and d > 1 or r.random() < 0.1}
        for t in tensors:
            t["shape"] = [to.get(d, d) for d in t["shape"]]
        for k, v in case["attrs"].items():
            if isinstance(v, int) and not isinstance(v, bool) and v in to and r.random() < 0.7:
                case["attrs"][k] = to[v]

    def axes(self, case):
        r, tensors = self.rng, case["inputs"]
        if not tensors or not tensors[0]["shape"] or len({tuple(t["shape"]) for t in tensors}) > 1:
            return
        shape = list(tensors[0]["shape"])
        if r.random() < 0.5 and len(shape) > 1:
            shape.pop(r.randrange(len(shape)))
        elif len(shape) < 6:
            shape.insert(r.randrange(len(shape) + 1), r.choice([1, 2, 3]))
        for t in tensors:
            t["shape"] = list(shape)

    def types(self, case):
        r, tensors = self.rng, case["inputs"] + case.get("aux", [])
        floats = [t for t in tensors if t["dtype"].startswith("float")]
        if r.random() < 0.7 and floats:
            to = r.choice(FLOATS)
            for t in floats:
                t["dtype"] = to
        elif tensors:
            to = r.choice(FLOATS + INTS)
            for t in tensors if r.random() < 0.7 else [r.choice(tensors)]:
                t["dtype"] = to

    def mistake(self, case):
        r, inputs, attrs = self.rng, case["inputs"], case["attrs"]
        kind = r.choice(["value", "unknown", "missing", "size", "size", "axes", "dtype", "fewer", "more", "axis"])
        given = [p for p in self.op["params"] if p["name"] in attrs]
        if kind == "unknown":
            attrs["colour"] = 1
        elif kind == "missing" and any(p["required"] for p in given):
            del attrs[r.choice([p["name"] for p in given if p["required"]])]
        elif kind == "axis" and any("axis" in p["name"] or "dim" in p["name"] for p in self.op["params"]):
            attrs[r.choice([p["name"] for p in self.op["params"] if "axis" in p["name"] or "dim" in p["name"]])] = r.choice([7, -7])
        elif kind == "value" and self.op["params"]:
            attrs[r.choice(self.op["params"])["name"]] = r.choice(["much", -3, "(1, 2, 3, 4, 5, 6, 7)"])
        elif kind == "more" and inputs:
            inputs.append(json.loads(json.dumps(r.choice(inputs))))
        elif kind == "fewer" and len(inputs) > 1:
            inputs.pop()
        elif kind == "dtype" and inputs:
            r.choice(inputs)["dtype"] = r.choice(FLOATS + INTS)
        elif inputs:
            shape = r.choice(inputs)["shape"]
            if kind == "axes" or not shape:
                shape.pop() if len(shape) > 1 and r.random() < 0.5 else shape.insert(r.randrange(len(shape) + 1), 2)
            else:
                shape[r.randrange(len(shape))] += r.choice([1, 2])

    def data(self, t):
        r = np.random.RandomState(self.rng.randrange(2**31))
        old = [float(x) for x in t["data"]]
        finite = [x for x in old if np.isfinite(x)] or [0.0, 1.0]
        lo, hi, whole = min(finite), max(finite), all(x == int(x) for x in finite)
        n = int(np.prod(t["shape"])) if t["shape"] else 1
        if n == len(old) and self.rng.random() < 0.3:
            new = np.array(old)
        elif whole:
            new = r.randint(int(lo), int(hi) + 1, n) if hi - lo < 2**31 else np.array(r.choice(finite, n))
        else:
            new = r.uniform(lo, hi, n).round(3)
        new = np.asarray(new, dtype="float64")
        if not np.isfinite(old).all() and n:
            for _ in range(2):
                new[r.randint(n)] = r.choice(old)
        if self.odd and not whole and n:
            for _ in range(r.randint(1, 4)):
                new[r.randint(n)] = r.choice([np.nan, np.inf, -np.inf, 0.0, -0.0, new[0], new[0], 1e-40, 1e20, -1e20])
        with np.errstate(all="ignore"):
            if t["dtype"] == "uint8":
                new = np.abs(new)
            t["data"] = tensor(new.reshape(t["shape"]).astype(t["dtype"]))["data"]

    def draw(self, index):
        r = self.rng
        source = r.choice(self.cases)
        case = json.loads(json.dumps({k: source[k] for k in ("op", "train", "attrs", "inputs", "aux", "aux_index", "out_index") if k in source}))
        case["train"] = bool(case.get("train", False))
        changes = r.sample(["sizes", "sizes", "types", "attrs", "attrs", "attrs", "axes", "train", "nothing"], r.choice([1, 1, 2, 3]))
        if self.mistakes:
            changes = []
            self.mistake(case)
        for change in changes:
            if change == "sizes":
                self.sizes(case)
            elif change == "axes":
                self.axes(case)
            elif change == "types":
                self.types(case)
            elif change == "train":
                case["train"] = not case["train"]
            elif change == "attrs" and self.op["params"]:
                p = r.choice(self.op["params"])
                if p["name"] in case["attrs"] and not p["required"] and r.random() < 0.15:
                    del case["attrs"][p["name"]]
                elif p["name"] not in ("num_args", "num_weights", "workspace", "cudnn_tune", "ctx"):
                    case["attrs"][p["name"]] = self.parameter(p, case["attrs"].get(p["name"]))
        for t in case["inputs"] + case.get("aux", []):
            self.data(t)
        case["salt"] = r.randrange(2**31)
        if "head_grads" in source and "input_grads" in source:
            ok = [t["dtype"] in FLOATS for t in case["inputs"]]
            case["wanted"] = [g is not None and k for g, k in zip(source["input_grads"] + [None], ok)]
            case["heads"] = [h is not None for h in source["head_grads"]]
            if r.random() < 0.15:
                case["grad_req"] = "add"
                case["grad_init"] = []
                for t, w in zip(case["inputs"], case["wanted"]):
                    g = {"shape": t["shape"], "dtype": t["dtype"], "data": [0.5, -1.0]}
                    self.data(g)
                    case["grad_init"].append(g if w else None)
        case["id"] = f"{case['op']}-{index}"
        case["tol"] = source.get("tol")
        return case


def finished(case):
    """The case as it is written, or None when it is not worth writing."""
    first, refusal = attempt(case)
    if first is None:
        kept = ("id", "op", "train", "attrs", "inputs", "aux", "aux_index")
        return {k: case[k] for k in kept if k in case} | {"error": True, "note": refusal}
    if json.dumps(first) != json.dumps(attempt(case)[0]):
        return None
    kinds = {t["dtype"] for t in case["inputs"] + case.get("aux", []) + first["outputs"]}
    rtol, atol = max((TOLERANCES.get(k, (0.0, 0.0)) for k in kinds), default=(0.0, 0.0))
    tol = case.get("tol") or {}
    case["tol"] = {"rtol": max(rtol, tol.get("rtol", 0)), "atol": max(atol, tol.get("atol", 0))}
    if "input_grads" not in first:
        case.pop("grad_req", None), case.pop("grad_init", None)
    for k in ("wanted", "heads", "salt"):
        case.pop(k, None)
    return case | first


def record(op, cases, each, seed, path, *kinds):
    """Children draw and write, so that a call that ends the process ends only itself."""
    done = 0
    while done < each:
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(read)
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 2)
            with open(path, "a") as out:
                for i in range(done, each):
                    os.write(write, b"%d\n" % i)
                    signal.alarm(20)
                    drawer = Drawer(op, cases, random.Random(f"{seed}/{op['name']}/{i}"), *kinds)
                    case = finished(drawer.draw(f"{seed}.{i}"))
                    if case is not None:
                        out.write(json.dumps(case) + "\n")
                        out.flush()
            os._exit(0)
        os.close(write)
        with os.fdopen(read) as lines:
            begun = [int(line) for line in lines]
        _, status = os.waitpid(pid, 0)
        if status and begun:
            print(f"{op['name']}: call {begun[-1]} ended MXNet with status {status}", file=sys.stderr)
        done = (begun[-1] if begun else done) + 1


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--cases", required=True)
    p.add_argument("--ops", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--each", type=int, default=20)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--mistakes", action="store_true")
    p.add_argument("--odd", action="store_true")
    p.add_argument("--op", action="append", default=[])
    a = p.parse_args()
    with open(a.ops) as f:
        ops = {o["name"]: o for o in json.load(f)}
    by_op = collections.defaultdict(list)
    for file in sorted(glob.glob(os.path.join(a.cases, "*.jsonl"))):
        with open(file) as f:
            for line in f:
                case = json.loads(line)
                if "op" in case and "steps" not in case and not case.get("error") and case["op"] in ops:
                    if all(t is not None for t in case["inputs"]):
                        by_op[case["op"]].append(case)
    os.makedirs(a.out, exist_ok=True)
    for name, cases in sorted(by_op.items()):
        if name in LEFT_OUT or (a.op and name not in a.op):
            continue
        record(ops[name], cases, a.each, a.seed, os.path.join(a.out, name + ".jsonl"), a.mistakes, a.odd)


main()
