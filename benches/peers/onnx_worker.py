"""ONNX Runtime's side: the networks that Keshi's worker wrote, in two threads."""

import os

import numpy
import onnxruntime

from peer import serve

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(os.environ.get("KESHI_NUM_THREADS", "2"))
options.inter_op_num_threads = 1


def make(name):
    file = os.path.join(os.environ["KESHI_ONNX"], name + ".onnx")
    if not os.path.exists(file):
        return None
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    source = session.get_inputs()[0]
    x = numpy.random.uniform(-1, 1, source.shape).astype("float32")
    return lambda: session.run(None, {source.name: x})


serve(make)
