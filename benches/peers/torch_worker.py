"""PyTorch's side of the benchmarks: eager, float32, in two threads."""

import os
import sys

import torch
import torch.nn.functional as F

from peer import CONVOLUTIONS, digits, over, product, serve

torch.set_num_threads(int(os.environ.get("KESHI_NUM_THREADS", "2")))
torch.manual_seed(1)
rand = lambda *shape: torch.rand(*shape) * 2 - 1

ELEMENTWISE = {
    "multiply": lambda x, y: x * y,
    "add": lambda x, y: x + y,
    "relu": lambda x, y: torch.relu(x),
    "exp": lambda x, y: torch.exp(x),
    "tanh": lambda x, y: torch.tanh(x),
    "erf": lambda x, y: torch.erf(x),
    "sigmoid": lambda x, y: torch.sigmoid(x),
    "gelu": lambda x, y: F.gelu(x),
    "fma": lambda x, y: torch.relu(x * y + x),
}


def no_grad(f):
    def call():
        with torch.no_grad():
            return f()

    return call


def chain():
    x = torch.ones(2, 2, requires_grad=True)

    def call():
        y = x
        for _ in range(1000):
            y = y * 1.0001
        y.backward(torch.ones(2, 2))

    return call


def trained(f, *inputs):
    """Forward and backward, from a gradient of ones."""
    for x in inputs:
        x.requires_grad_()
    with torch.no_grad():
        ones = torch.ones_like(f(*inputs))

    def call():
        for x in inputs:
            x.grad = None
        f(*inputs).backward(ones)

    return call


def reduction(what):
    x = rand(4096, 4096)
    return {
        "sum": lambda: x.sum().item(),
        "sum_0": lambda: x.sum(0),
        "sum_1": lambda: x.sum(1),
        "max": lambda: x.max().item(),
        "max_1": lambda: x.amax(1),
        "argmax": lambda: x.argmax(1),
        "moments": lambda: torch.var_mean(x, 1),
    }[what]


def dot(size, flags=""):
    xs, ys, ta, tb = product(size, flags)
    x = rand(*xs).t() if ta else rand(*xs)
    y = rand(*ys).t() if tb else rand(*ys)
    return lambda: x @ y


def batch_dot(flags=""):
    x = rand(64, 64, 128).transpose(1, 2) if "t" in flags[:1] else rand(64, 128, 64)
    y = rand(64, 128, 64).transpose(1, 2) if "t" in flags[1:] else rand(64, 64, 128)
    return lambda: torch.bmm(x, y)


def convolution(kind, train):
    xs, ws, stride, pad, groups = CONVOLUTIONS[kind]
    x, w = rand(*xs), rand(*ws)
    f = lambda x, w: F.conv2d(x, w, stride=stride, padding=pad, groups=groups)
    return trained(f, x, w) if train else no_grad(lambda: f(x, w))


def pooling(kind, train):
    x = rand(8, 64, 112, 112)
    f = {"max": lambda x: F.max_pool2d(x, 3, 2, 1), "avg": lambda x: F.avg_pool2d(x, 2, 2)}[kind]
    return trained(f, x) if train else no_grad(lambda: f(x))


def lstm():
    net = torch.nn.LSTM(256, 256, 2)
    x = rand(35, 32, 256)
    ones = torch.ones(35, 32, 256)

    def call():
        net.zero_grad()
        net(x)[0].backward(ones)

    return call


def trainer_of(net, lr=0.01):
    loss_of = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=lr)

    def train(x, y):
        optimizer.zero_grad()
        loss_of(net(x), y).backward()
        optimizer.step()

    return train


def step(net, shape):
    train = trainer_of(net)
    x = torch.rand(*shape)
    y = torch.randint(0, 10, (shape[0],))
    return lambda: train(x, y)


class Scaled(torch.utils.data.Dataset):
    def __init__(self, pictures, labels):
        self.pictures, self.labels = torch.from_numpy(pictures), torch.from_numpy(labels).long()

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return self.pictures[i].float() / 255, self.labels[i]


def epoch():
    found = digits()
    if found is None:
        return None
    batches = torch.utils.data.DataLoader(Scaled(*found), batch_size=100)
    return over(batches, trainer_of(torch.nn.Sequential(torch.nn.Flatten(), mlp())))


def mlp():
    n = torch.nn
    return n.Sequential(n.Linear(784, 128), n.ReLU(), n.Linear(128, 64), n.ReLU(), n.Linear(64, 10))


def lenet():
    n = torch.nn
    return n.Sequential(
        n.Conv2d(1, 20, 5), n.ReLU(), n.MaxPool2d(2, 2), n.Conv2d(20, 50, 5), n.ReLU(), n.MaxPool2d(2, 2),
        n.Flatten(), n.Linear(800, 500), n.ReLU(), n.Linear(500, 10),
    )


class Bottleneck(torch.nn.Module):
    def __init__(self, before, inner, stride):
        super().__init__()
        n, after = torch.nn, 4 * inner
        self.body = n.Sequential(
            n.Conv2d(before, inner, 1, stride), n.BatchNorm2d(inner), n.ReLU(),
            n.Conv2d(inner, inner, 3, 1, 1, bias=False), n.BatchNorm2d(inner), n.ReLU(),
            n.Conv2d(inner, after, 1), n.BatchNorm2d(after),
        )
        self.short = None
        if stride != 1 or before != after:
            self.short = n.Sequential(n.Conv2d(before, after, 1, stride, bias=False), n.BatchNorm2d(after))

    def forward(self, x):
        return torch.relu(self.body(x) + (x if self.short is None else self.short(x)))


def resnet():
    n = torch.nn
    layers = [n.Conv2d(3, 64, 7, 2, 3, bias=False), n.BatchNorm2d(64), n.ReLU(), n.MaxPool2d(3, 2, 1)]
    before = 64
    for inner, count, stride in [(64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)]:
        for i in range(count):
            layers.append(Bottleneck(before, inner, stride if i == 0 else 1))
            before = 4 * inner
    return n.Sequential(*layers, n.AdaptiveAvgPool2d(1), n.Flatten(), n.Linear(2048, 1000))


class Bottlenecks(torch.nn.Module):
    """MobileNet v2's block: wide inside, narrow and without a rectifier at its ends."""

    def __init__(self, before, after, stride, factor):
        super().__init__()
        wide = before * factor
        self.body = torch.nn.Sequential(
            *normed(before, wide, 1), *normed(wide, wide, 3, stride, wide), *normed(wide, after, 1)[:-1]
        )
        self.short = stride == 1 and before == after

    def forward(self, x):
        return x + self.body(x) if self.short else self.body(x)


def normed(before, after, kernel, stride=1, groups=1):
    n = torch.nn
    conv = n.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, n.BatchNorm2d(after), n.ReLU6()]


def mobilenet():
    layers, before = normed(3, 32, 3, 2), 32
    for factor, after, count, stride in [
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)
    ]:
        for i in range(count):
            layers.append(Bottlenecks(before, after, stride if i == 0 else 1, factor))
            before = after
    n = torch.nn
    ends = [n.AdaptiveAvgPool2d(1), n.Conv2d(1280, 1000, 1, bias=False), n.Flatten()]
    return n.Sequential(*layers, *normed(320, 1280, 1), *ends)


def recurrent():
    return torch.nn.LSTM(256, 256, 2)


def inference(net, shape, is_compiled):
    net.eval()
    x = rand(*shape)
    run = torch.compile(net) if is_compiled else net
    call = no_grad(lambda: run(x))
    try:
        call()
    except Exception as error:
        print("torch.compile:", error, file=sys.stderr)
        return None
    return call


def make(name):
    what, *rest = name.split(":")
    is_compiled = "compiled" in rest
    if what in ("resnet", "mobilenet"):
        return inference({"resnet": resnet, "mobilenet": mobilenet}[what](), (int(rest[0]), 3, 224, 224), is_compiled)
    if what == "recurrent":
        return inference(recurrent(), (35, int(rest[0]), 256), is_compiled)
    if is_compiled:
        return None
    if what in ELEMENTWISE:
        n = int(float(rest[0]))
        x, y = rand(n), rand(n)
        return lambda: ELEMENTWISE[what](x, y)
    small = rand(2, 2)
    one = rand(1)
    row = rand(4096, 1000)
    grid = rand(8, 64, 56, 56)
    table, index = (rand(50000, 256), torch.randint(0, 50000, (64, 128))) if what == "take" else (None, None)
    square = rand(4096, 4096) if what in ("transpose", "concat", "slice") else None
    many = rand(1000000) if what in ("sort", "argsort") else None
    wide, gain, shift = rand(4096, 768), rand(768), rand(768)
    simple = {
        "add2": lambda: small + small,
        "scale2": lambda: small * 1.5,
        "relu2": lambda: torch.relu(small),
        "sum2": lambda: small.sum(1),
        "item": lambda: one.item(),
        "broadcast": lambda b=rand(1000): row + b,
        "take": lambda: table[index],
        "concat": lambda: torch.cat([square, square], 1),
        "slice": lambda: square[:, 100:4000].contiguous(),
        "transpose": lambda: square.t().contiguous(),
        "softmax": lambda: torch.softmax(row, 1),
        "log_softmax": lambda: torch.log_softmax(row, 1),
        "layernorm": lambda: F.layer_norm(wide, (768,), gain, shift),
        "sort": lambda: torch.sort(many),
        "argsort": lambda: torch.argsort(many),
        "topk": lambda: torch.topk(row, 5),
    }
    if what in simple:
        return no_grad(simple[what]) if what not in ("add2", "scale2", "relu2", "sum2", "item") else simple[what]
    if what == "batchnorm":
        gamma, beta = rand(64), rand(64)
        mean, var = torch.zeros(64), torch.ones(64)
        return trained(lambda x, g, b: F.batch_norm(x, mean, var, g, b, training=True), grid, gamma, beta)
    return {
        "reduce": lambda: reduction(*rest),
        "dot": lambda: dot(*rest),
        "batch_dot": lambda: batch_dot(*rest),
        "conv": lambda: convolution(rest[0], "train" in rest),
        "pool": lambda: pooling(rest[0], "train" in rest),
        "chain": chain,
        "lstm": lstm,
        "mlp": lambda: step(mlp(), (100, 784)),
        "lenet": lambda: step(lenet(), (256, 1, 28, 28)),
        "epoch": epoch,
    }.get(what, lambda: None)()


serve(make)
