"""MXNet 1.9.1's side of the benchmarks: its Python interface, float32, in two threads."""

import os

os.environ.setdefault("OMP_NUM_THREADS", os.environ.get("KESHI_NUM_THREADS", "2"))

import mxnet as mx
from mxnet import autograd, gluon, nd

from peer import CONVOLUTIONS, digits, over, product, serve

mx.random.seed(1)
rand = lambda *shape: nd.random.uniform(-1, 1, shape)

ELEMENTWISE = {
    "multiply": lambda x, y: x * y,
    "add": lambda x, y: x + y,
    "relu": lambda x, y: nd.relu(x),
    "exp": lambda x, y: nd.exp(x),
    "tanh": lambda x, y: nd.tanh(x),
    "erf": lambda x, y: nd.erf(x),
    "sigmoid": lambda x, y: nd.sigmoid(x),
    "gelu": lambda x, y: nd.LeakyReLU(x, act_type="gelu"),
    "fma": lambda x, y: nd.relu(x * y + x),
}


def chain():
    x = nd.ones((2, 2))
    x.attach_grad()

    def call():
        with autograd.record():
            y = x
            for _ in range(1000):
                y = y * 1.0001
        y.backward()

    return call


def trained(f, *inputs):
    for x in inputs:
        x.attach_grad()

    def call():
        with autograd.record():
            y = f(*inputs)
        y.backward()

    return call


def reduction(what):
    x = rand(4096, 4096)
    return {
        "sum": lambda: x.sum().asscalar(),
        "sum_0": lambda: x.sum(axis=0),
        "sum_1": lambda: x.sum(axis=1),
        "max": lambda: x.max().asscalar(),
        "max_1": lambda: x.max(axis=1),
        "argmax": lambda: x.argmax(axis=1),
        "moments": lambda: nd.moments(x, axes=(1,)),
    }[what]


def dot(size, flags=""):
    xs, ys, ta, tb = product(size, flags)
    x, y = rand(*xs), rand(*ys)
    return lambda: nd.dot(x, y, transpose_a=ta, transpose_b=tb)


def batch_dot(flags=""):
    ta, tb = "t" in flags[:1], "t" in flags[1:]
    x = rand(64, 64, 128) if ta else rand(64, 128, 64)
    y = rand(64, 128, 64) if tb else rand(64, 64, 128)
    return lambda: nd.batch_dot(x, y, transpose_a=ta, transpose_b=tb)


def convolution(kind, train):
    xs, ws, stride, pad, groups = CONVOLUTIONS[kind]
    x, w = rand(*xs), rand(*ws)
    how = dict(kernel=ws[2:], stride=(stride, stride), pad=(pad, pad), num_filter=ws[0], num_group=groups)
    f = lambda x, w: nd.Convolution(x, w, no_bias=True, **how)
    return trained(f, x, w) if train else lambda: f(x, w)


def pooling(kind, train):
    x = rand(8, 64, 112, 112)
    how = {
        "max": dict(kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="max"),
        "avg": dict(kernel=(2, 2), stride=(2, 2), pool_type="avg"),
    }[kind]
    f = lambda x: nd.Pooling(x, **how)
    return trained(f, x) if train else lambda: f(x)


def lstm():
    net = gluon.rnn.LSTM(256, 2)
    net.initialize()
    x = rand(35, 32, 256)

    def call():
        with autograd.record():
            y = net(x)
        y.backward()

    return call


def trainer_of(net, hybrid):
    net.initialize(mx.init.Xavier())
    if hybrid:
        net.hybridize(static_alloc=True, static_shape=True)
    loss_of = gluon.loss.SoftmaxCrossEntropyLoss()
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.01})

    def train(x, y):
        with autograd.record():
            loss = loss_of(net(x), y)
        loss.backward()
        trainer.step(x.shape[0])

    return train


def step(net, shape, hybrid):
    train = trainer_of(net, hybrid)
    x = rand(*shape)
    y = nd.floor(nd.random.uniform(0, 10, (shape[0],)))
    return lambda: train(x, y)


def epoch():
    found = digits()
    if found is None:
        return None
    data = gluon.data.ArrayDataset(nd.array(found[0], dtype="uint8"), found[1])
    scaled = data.transform_first(lambda x: x.astype("float32") / 255)
    return over(gluon.data.DataLoader(scaled, batch_size=100, num_workers=0), trainer_of(mlp(), False))


def sequential(*layers):
    net = gluon.nn.HybridSequential()
    net.add(*layers)
    return net


def mlp():
    n = gluon.nn
    return sequential(n.Dense(128, activation="relu"), n.Dense(64, activation="relu"), n.Dense(10))


def lenet():
    n = gluon.nn
    return sequential(
        n.Conv2D(20, 5, activation="relu"), n.MaxPool2D(2, 2), n.Conv2D(50, 5, activation="relu"), n.MaxPool2D(2, 2),
        n.Dense(500, activation="relu"), n.Dense(10),
    )


def resnet(batch):
    net = gluon.model_zoo.vision.resnet50_v1()
    net.initialize(mx.init.Xavier())
    net.hybridize(static_alloc=True, static_shape=True)
    x = rand(batch, 3, 224, 224)
    return lambda: net(x)


def fused():
    class Block(gluon.HybridBlock):
        def hybrid_forward(self, F, x, y):
            return F.relu(x * y + x)

    net = Block()
    net.hybridize(static_alloc=True, static_shape=True)
    return net


def make(name):
    what, *rest = name.split(":")
    if what in ELEMENTWISE:
        x, y = rand(int(float(rest[0]))), rand(int(float(rest[0])))
        if rest[1:]:
            net = fused()
            return lambda: net(x, y)
        return lambda: ELEMENTWISE[what](x, y)
    small, one = rand(2, 2), rand(1)
    row, shift = rand(4096, 1000), rand(1000)
    table, index = (
        (rand(50000, 256), nd.floor(nd.random.uniform(0, 50000, (64, 128)))) if what == "take" else (None, None)
    )
    square = rand(4096, 4096) if what in ("transpose", "concat", "slice") else None
    many = rand(1000000) if what in ("sort", "argsort") else None
    wide, gain, beta = rand(4096, 768), rand(768), rand(768)
    simple = {
        "add2": lambda: small + small,
        "scale2": lambda: small * 1.5,
        "relu2": lambda: nd.relu(small),
        "sum2": lambda: small.sum(axis=1),
        "item": lambda: one.asscalar(),
        "broadcast": lambda: nd.broadcast_add(row, shift.reshape((1, 1000))),
        "take": lambda: nd.take(table, index),
        "concat": lambda: nd.concat(square, square, dim=1),
        "slice": lambda: nd.slice_axis(square, axis=1, begin=100, end=4000),
        "transpose": lambda: square.transpose(),
        "softmax": lambda: nd.softmax(row),
        "log_softmax": lambda: nd.log_softmax(row),
        "layernorm": lambda: nd.LayerNorm(wide, gain, beta),
        "sort": lambda: nd.sort(many),
        "argsort": lambda: nd.argsort(many),
        "topk": lambda: nd.topk(row, k=5, ret_typ="both"),
    }
    if what in simple:
        return simple[what]
    if what == "batchnorm":
        x, g, b = rand(8, 64, 56, 56), rand(64), rand(64)
        mean, var = nd.zeros(64), nd.ones(64)
        return trained(lambda x, g, b: nd.BatchNorm(x, g, b, mean, var, fix_gamma=False), x, g, b)
    hybrid = "hybrid" in rest
    return {
        "reduce": lambda: reduction(*rest),
        "dot": lambda: dot(*rest),
        "batch_dot": lambda: batch_dot(*rest),
        "conv": lambda: convolution(rest[0], "train" in rest),
        "pool": lambda: pooling(rest[0], "train" in rest),
        "chain": chain,
        "lstm": lstm,
        "mlp": lambda: step(mlp(), (100, 784), hybrid),
        "lenet": lambda: step(lenet(), (256, 1, 28, 28), hybrid),
        "epoch": epoch,
        "resnet": lambda: resnet(int(rest[0])),
    }.get(what, lambda: None)()


serve(make, nd.waitall)
