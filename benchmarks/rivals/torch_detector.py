"""CNN-BiGRU in PyTorch, layer for layer ours, to be timed beside it: nn.Conv1d, nn.GRU, Adam, float32."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from nids_jax.nn.detector import RecurrentConfig

Network = Callable[[torch.Tensor], torch.Tensor]


class CNNBiGRU(nn.Module):
    """rows [B, N] → logits [B, classes], with the sizes of `RecurrentConfig()`."""

    def __init__(self, config: RecurrentConfig, classes: int):
        super().__init__()
        (c1, c2), (h1, h2) = config.channels, config.hidden
        self.convolutions = nn.Sequential(
            nn.Conv1d(1, c1, 3, padding=1), nn.ReLU(), nn.Conv1d(c1, c2, 3, padding=1), nn.ReLU()
        )
        self.first = nn.GRU(c2, h1, batch_first=True, bidirectional=True)
        self.second = nn.GRU(2 * h1, h2, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(2 * h2, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.convolutions(x[:, None, :]).transpose(1, 2)
        h, _ = self.first(h)
        _, final = self.second(self.dropout(h))
        return self.head(self.dropout(torch.cat([final[0], final[1]], dim=-1)))


def build(
    config: RecurrentConfig,
    classes: int,
    x: np.ndarray,
    y: np.ndarray,
    *,
    threads: int,
    batch: int = 64,
    device: str = "cpu",
    compiled: Callable[[nn.Module], Network] | None = None,
) -> tuple[Callable[[int], object], Callable[[], object], Callable[..., object]]:
    """Three functions: train so many steps on rows x [n, N] with labels y [n]; classify x; classify masked rows.

    The last takes a row, background rows, what is present and the background row of each, as
    `NeuralClassifier.predict_masked`; `compiled` is what `torch.compile` makes of a network.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network = CNNBiGRU(config, classes).to(device)
    judge: Network = compiled(network) if compiled else network
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    rows, labels = torch.tensor(x, device=device), torch.tensor(y.astype(np.int64), device=device)

    def train(steps: int) -> float:
        network.train()
        loss = torch.zeros(())
        for step in range(steps):
            chosen = torch.arange(batch * step, batch * (step + 1), device=device) % len(rows)
            optimiser.zero_grad()
            loss = nn.functional.cross_entropy(judge(rows[chosen]), labels[chosen])
            loss.backward()
            optimiser.step()
        return loss.item()

    def classify() -> np.ndarray:
        network.eval()
        with torch.inference_mode():
            return judge(rows).float().cpu().numpy()

    def masked(row: np.ndarray, background: np.ndarray, present: np.ndarray, place: np.ndarray) -> np.ndarray:
        network.eval()
        with torch.inference_mode():
            own, others, kept, which = (torch.tensor(a, device=device) for a in (row, background, present, place))
            return judge(torch.where(kept, own, others[which])).softmax(dim=1).cpu().numpy()

    return train, classify, masked
