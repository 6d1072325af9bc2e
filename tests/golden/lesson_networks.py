# The lesson's networks as a PyTorch user writes them, and fashion_cnn: what models/*.json must agree with, name for name.
# `logits` is the network before its last Sigmoid or Softmax, which is what training needs.
import torch
from torch import nn


class BinaryCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, kernel_size=3, stride=1, padding=1)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(kernel_size=2, stride=2)
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(16 * 112 * 112, 1)
        self.sigmoid = nn.Sigmoid()

    def logits(self, x):
        return self.fc1(self.flatten(self.pool(self.relu(self.conv1(x)))))

    def forward(self, x):
        return self.sigmoid(self.logits(x))


class MultiClassCNN(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, kernel_size=3, stride=1, padding=1)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(kernel_size=2, stride=2)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(16 * 112 * 112, num_classes)
        self.softmax = nn.Softmax(dim=1)

    def logits(self, x):
        return self.fc(self.flatten(self.pool(self.relu(self.conv1(x)))))

    def forward(self, x):
        return self.softmax(self.logits(x))


class FashionCNN(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, kernel_size=3, padding=1)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(64 * 7 * 7, 128)
        self.fc2 = nn.Linear(128, num_classes)
        self.softmax = nn.Softmax(dim=1)

    def logits(self, x):
        x = self.pool(self.relu(self.conv1(x)))
        x = self.pool(self.relu(self.conv2(x)))
        return self.fc2(self.relu(self.fc1(self.flatten(x))))

    def forward(self, x):
        return self.softmax(self.logits(x))


def probabilities(model, x):
    """[n, classes] as Pinhole shows them: a one-output network gives {1 - p, p}."""
    with torch.no_grad():
        p = model(x)
    return torch.cat([1 - p, p], dim=1) if p.shape[1] == 1 else p
