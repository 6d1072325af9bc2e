"""PyTorch's column, and Pillow's and torchvision's rows: answers requests, one JSON a line on standard input, one JSON a line on
standard output, the same requests as native_bench.cpp. `setting` is {"threads", "channels_last"}; images are uint8 and become
float in [0, 1] inside every step, as everybody else's do."""
import json
import os
import resource
import sys
import time


def sides(layer, height, width):
    """Padding (left, right, top, bottom) and the output's sides of a convolution or a pooling; "same" is TensorFlow's."""
    size, stride, pad = layer["kernel_size"], layer.get("stride", 1), layer.get("padding", 0)
    padding, out = [], []
    for side in (width, height):
        if pad == "same":
            result = -(-side // stride)
            total = max((result - 1) * stride + size - side, 0)
            padding += [total // 2, total - total // 2]
        else:
            result = (side + 2 * pad - size) // stride + 1
            padding += [pad, pad]
        out.append(result)
    return padding, out[1], out[0]


def chain(list_of_layers, channels, height, width, classes):
    """The layers up to the logits, as one module, and the shape they give."""
    import torch
    from torch import nn

    class Normalize(nn.Module):
        def __init__(self, mean, std):
            super().__init__()
            for name, values in (("mean", mean), ("std", std)):
                self.register_buffer(name, torch.tensor(values)[None, :, None, None])

        def forward(self, x):
            return (x - self.mean) / self.std

    class Residual(nn.Module):
        def __init__(self, body):
            super().__init__()
            self.body = body

        def forward(self, x):
            return x + self.body(x)

    layers = []
    for layer in list_of_layers:
        kind = layer["type"]
        if kind == "Conv2d":
            padding, after_height, after_width = sides(layer, height, width)
            if padding[0] != padding[1] or padding[2] != padding[3]:
                layers.append(nn.ZeroPad2d(padding))
                padding = [0, 0, 0, 0]
            layers.append(
                nn.Conv2d(
                    channels,
                    layer["out_channels"],
                    layer["kernel_size"],
                    stride=layer.get("stride", 1),
                    padding=(padding[2], padding[0]),
                    groups=layer.get("groups", 1),
                )
            )
            channels, height, width = layer["out_channels"], after_height, after_width
        elif kind == "ReLU":
            layers.append(nn.ReLU(inplace=True))
        elif kind == "ReLU6":
            layers.append(nn.ReLU6(inplace=True))
        elif kind == "Normalize":
            layers.append(Normalize(layer["mean"], layer["std"]))
        elif kind == "BatchNorm2d":
            layers.append(nn.BatchNorm2d(channels, affine=layer.get("affine", True)))
        elif kind == "Residual" and "shortcut" not in layer:
            layers.append(Residual(chain(layer["body"], channels, height, width, classes)[0]))
        elif kind == "MaxPool2d":
            layers.append(nn.MaxPool2d(layer["kernel_size"], layer.get("stride", layer["kernel_size"])))
            height, width = height // layer["kernel_size"], width // layer["kernel_size"]
        elif kind == "AdaptiveAvgPool2d":
            layers.append(nn.AdaptiveAvgPool2d(1))
            height = width = 1
        elif kind == "Flatten":
            layers.append(nn.Flatten())
            channels, height, width = channels * height * width, 1, 1
        elif kind == "Linear":
            outputs = classes if layer["out_features"] == "classes" else layer["out_features"]
            layers.append(nn.Linear(channels, outputs))
            channels = outputs
        elif kind not in ("Softmax", "Sigmoid"):
            raise ValueError(f"no PyTorch layer for {kind}")
    return nn.Sequential(*layers), channels


def build(spec, classes):
    """The network up to its logits, from a spec in Pinhole's format, and whether it has one output."""
    height, width, channels = spec["input"]
    model, outputs = chain(spec["layers"], channels, height, width, classes)
    return model, outputs == 1


class Run:
    """One prepared row."""

    def __init__(self, request):
        import torch

        self.torch = torch
        setting = request["setting"]
        torch.set_num_threads(setting["threads"])
        torch.manual_seed(0)
        self.training, self.batch = request["kind"] == "train", request["batch"]
        format = torch.channels_last if setting["channels_last"] else torch.contiguous_format
        height, width, channels = request["spec"]["input"]
        images = torch.randint(0, 256, (request["images"], channels, height, width), dtype=torch.uint8)
        self.images = images.contiguous(memory_format=format)
        self.with_data = resident()
        self.model, self.binary = build(request["spec"], request["classes"])
        self.model = self.model.to(memory_format=format).train(self.training)
        labels = torch.arange(request["images"]) % request["classes"]
        self.labels = labels.float()[:, None] if self.binary else labels
        self.loss = torch.nn.BCEWithLogitsLoss() if self.binary else torch.nn.CrossEntropyLoss()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)
        self.position = 0
        self.last_loss = 0.0

    def step(self):
        begin = self.position
        self.position = (begin + self.batch) % len(self.images)
        x = self.images[begin:begin + self.batch].float().div_(255)
        if not self.training:
            with self.torch.inference_mode():
                self.model(x)
            return
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(self.model(x), self.labels[begin:begin + self.batch])
        loss.backward()
        self.optimizer.step()
        self.last_loss = loss.item()

    def measure(self, at_least):
        self.step()
        steps, seconds, start = 0, 0.0, time.perf_counter()
        while seconds < at_least or steps == 0:
            self.step()
            steps += 1
            seconds = time.perf_counter() - start
        return {"images": steps * self.batch, "seconds": seconds, "steps": steps, "loss": self.last_loss}

    def peak_memory(self):
        for _ in range(4):
            self.step()
        return {"bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - self.with_data}


def resident():
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def export_onnx(request):
    """The network with the conversion from uint8 inside, for ONNX Runtime; torch.onnx needs no further package."""
    import torch

    class WithConversion(torch.nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, x):
            return self.model(x.float() / 255)

    height, width, channels = request["spec"]["input"]
    model = WithConversion(build(request["spec"], request["classes"])[0]).eval()
    x = torch.zeros((request["batch"], channels, height, width), dtype=torch.uint8)
    torch.onnx.export(model, x, request["file"], input_names=["x"], output_names=["y"], opset_version=13)
    return {}


def photos(request):
    names = sorted(
        os.path.join(folder, name)
        for folder, _, files in os.walk(request["folder"])
        for name in files
        if name.lower().endswith((".jpg", ".jpeg", ".png", ".bmp", ".ppm"))
    )
    return [names[i % len(names)] for i in range(request["images"])]


def load_pillow(request):
    """Threads: Pillow lets go of the interpreter's lock while it decodes and resizes."""
    from concurrent.futures import ThreadPoolExecutor
    from PIL import Image

    size = (request["size"], request["size"])

    def one(name):
        with Image.open(name) as image:
            return image.convert("RGB").resize(size, Image.BILINEAR).tobytes()

    names = photos(request)
    start = time.perf_counter()
    with ThreadPoolExecutor(request["threads"]) as pool:
        kept = list(pool.map(one, names))
    return {"images": len(kept), "seconds": time.perf_counter() - start}


def load_torchvision(request):
    """As torchvision's users do it: a data set with transforms, a DataLoader with a worker process for each core."""
    import torch
    from PIL import Image
    from torchvision import transforms

    class Photos(torch.utils.data.Dataset):
        names = photos(request)
        transform = transforms.Compose([transforms.Resize((request["size"], request["size"])), transforms.PILToTensor()])

        def __len__(self):
            return len(self.names)

        def __getitem__(self, index):
            with Image.open(self.names[index]) as image:
                return self.transform(image.convert("RGB"))

    torch.set_num_threads(1)
    start = time.perf_counter()
    loader = torch.utils.data.DataLoader(Photos(), batch_size=32, num_workers=request["threads"])
    images = sum(len(batch) for batch in loader)
    return {"images": images, "seconds": time.perf_counter() - start}


def versions():
    import torch

    found = {"torch": torch.__version__, "python": sys.version.split()[0]}
    for name, module in (("pillow", "PIL"), ("torchvision", "torchvision")):
        try:
            found[name] = __import__(module).__version__
        except Exception:  # a broken installation is as good as none
            found[name] = None
    return found


def main():
    run = None
    replies = os.fdopen(os.dup(1), "w")  # libraries that print must not disturb the conversation
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        op = request["op"]
        try:
            if op == "prepare":
                run = None
                run = Run(request)
                reply = {}
            elif op == "measure":
                reply = run.measure(request["seconds"])
            elif op == "memory":
                reply = run.peak_memory()
            elif op == "release":
                run, reply = None, {}
            elif op == "versions":
                reply = versions()
            else:
                reply = {"export": export_onnx, "load_pillow": load_pillow, "load_torchvision": load_torchvision}[op](request)
        except Exception as problem:
            reply = {"error": f"{type(problem).__name__}: {problem}"}
        print(json.dumps(reply), file=replies, flush=True)


main()
