"""CDDPM in PyTorch, layer for layer ours, to be timed beside it: nn.Conv1d, nn.GroupNorm, Adam, float32."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nids_jax.diffusion.samplers import Sampler
from nids_jax.diffusion.schedule import Schedule
from nids_jax.nn.unet1d import UNetConfig

Step = Callable[[Tensor, Tensor, Tensor], Tensor]  # (x [B, N], t [B], labels [B]) → [B, N]


class DoubleConv(nn.Module):
    def __init__(self, c_in: int, c_out: int, middle: int | None = None, residual: bool = False):
        super().__init__()
        middle = middle or c_out
        self.layers = nn.Sequential(
            nn.Conv1d(c_in, middle, 3, padding=1),
            nn.GroupNorm(1, middle),
            nn.GELU("tanh"),
            nn.Conv1d(middle, c_out, 3, padding=1),
            nn.GroupNorm(1, c_out),
        )
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        out = self.layers(x)
        return functional.gelu(x + out, approximate="tanh") if self.residual else out


class Stage(nn.Module):
    def __init__(self, c_in: int, c_out: int, embedding: int, middle: int | None = None):
        super().__init__()
        self.same = DoubleConv(c_in, c_in, residual=True)
        self.change = DoubleConv(c_in, c_out, middle)
        self.project = nn.Linear(embedding, c_out)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        return self.change(self.same(x)) + self.project(functional.silu(embedding))[:, :, None]


class UNet1d(nn.Module):
    """`nids_jax.nn.unet1d.UNet1d` for rows of at least eight columns."""

    def __init__(self, config: UNetConfig, classes: int):
        super().__init__()
        w, e = config.widths, config.embedding
        self.width = e
        self.labels = nn.Embedding(classes + 1, e)
        self.inputs = DoubleConv(1, w[0])
        self.down = nn.ModuleList(Stage(w[i], w[i + 1], e) for i in range(3))
        deep = (w[3], config.deep, config.deep, w[3])
        self.deep = nn.Sequential(*(DoubleConv(a, b) for a, b in pairwise(deep)))
        joined = (w[3] + w[2], w[1] + w[1], w[0] + w[0])
        self.up = nn.ModuleList(Stage(c, out, e, c // 2) for c, out in zip(joined, (w[1], w[0], w[0]), strict=True))
        self.outputs = nn.Conv1d(w[0], 1, 1)

    def forward(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        half = self.width // 2
        angles = t[:, None] * torch.exp(-math.log(10_000.0) * torch.arange(half, device=t.device) / half)
        embedding = torch.cat([angles.sin(), angles.cos()], dim=1) + self.labels(labels)
        h = self.inputs(x[:, None])
        skips: list[Tensor] = []
        for stage in self.down:
            skips.append(h)
            h = stage(functional.max_pool1d(h, 2), embedding)
        h = self.deep(h)
        for stage in self.up:
            skip = skips.pop()
            doubled = torch.repeat_interleave(h, 2, dim=2)
            doubled = functional.pad(doubled, (0, skip.shape[2] - doubled.shape[2]))
            h = stage(torch.cat([skip, doubled], dim=1), embedding)
        return self.outputs(h)[:, 0]


def training(
    network: UNet1d,
    schedule: Schedule,
    x: np.ndarray,
    y: np.ndarray,
    *,
    batch: int,
    label_dropout: float,
    predict: Step | None = None,
) -> Callable[[int], float]:
    """A function that takes so many steps of Adam on ‖ε − ε_θ(x_t, t, y)‖², rows x [n, N] with labels y [n].

    All is done where the network is; `predict` is the network compiled.
    """
    there = network.outputs.weight.device
    predict = network if predict is None else predict
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-4)
    rows, labels = (torch.tensor(np.array(a, kind), device=there) for a, kind in ((x, np.float32), (y, np.int64)))
    alpha_bar = torch.tensor(schedule.alpha_bar, dtype=torch.float32, device=there)
    none = network.labels.num_embeddings - 1

    def train(steps: int) -> float:
        loss = torch.zeros(())
        for _ in range(steps):
            chosen = torch.randint(len(rows), (batch,), device=there)
            t = torch.randint(1, schedule.steps + 1, (batch,), device=there)
            a, eps = alpha_bar[t][:, None], torch.randn(batch, rows.shape[1], device=there)
            given = torch.where(torch.rand(batch, device=there) < label_dropout, none, labels[chosen])
            optimiser.zero_grad()
            loss = functional.mse_loss(predict(a.sqrt() * rows[chosen] + (1 - a).sqrt() * eps, t.float(), given), eps)
            loss.backward()
            optimiser.step()
        return loss.item()

    return train


@torch.inference_mode()
def ancestral(predict: Step, schedule: Schedule, labels: Sequence[int], columns: int, steps: int) -> Tensor:
    """P1's loop: the last `steps` of the T steps of eq. 6 (as corrected), each a call from the host."""
    a = torch.tensor(schedule.alpha_bar, dtype=torch.float32)
    given, x = torch.tensor(labels), torch.randn(len(labels), columns)
    for t in range(steps, 0, -1):
        alpha = a[t] / a[t - 1]
        eps = predict(x, torch.full((len(x),), float(t)), given)
        x = (x - (1 - alpha) / (1 - a[t]).sqrt() * eps) / alpha.sqrt()
        if t > 1:
            x += ((1 - alpha) * (1 - a[t - 1]) / (1 - a[t])).sqrt() * torch.randn_like(x)
    return x


@torch.inference_mode()
def scanned(
    predict: Step, schedule: Schedule, sampler: Sampler, labels: Sequence[int], columns: int, device: str = "cpu"
) -> Tensor:
    """One of our samplers, step for step from the host, all rows in one batch, x̂_0 kept within ±1."""
    given, x = torch.tensor(labels, device=device), torch.randn(len(labels), columns, device=device)
    steps = zip(*(np.asarray(column).tolist() for column in sampler.table(schedule)[:7]), strict=True)
    previous = torch.zeros_like(x)
    for t, alpha, sigma, a, b, c, d in steps:
        x0 = ((x - sigma * predict(x, torch.full((len(x),), t, device=device), given)) / alpha).clamp(-1, 1)
        x, previous = a * x + b * x0 + c * previous, x0
        if sampler.stochastic:
            x += d * torch.randn_like(x)
    return x
