"""WCGAN-GP and VAE-WGAN-GP in PyTorch, step for step ours, to be timed beside them: nn.Linear, Adam, float32."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nids_jax.generators.vae_gan import VAEWGANGP
from nids_jax.generators.wasserstein import Wasserstein


def _mlp(widths: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for a, b in pairwise(widths):
        layers += [nn.Linear(a, b), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers[:-1])


class Networks(nn.Module):
    """Generator, critic and, of VAE-WGAN-GP, encoder, with the sizes of `objective`: WCGAN-GP's or VAE-WGAN-GP's."""

    def __init__(self, objective: Wasserstein):
        super().__init__()
        self.objective = objective
        self.generator = _mlp((objective.noise + objective.classes, *objective.hidden, objective.features))
        self.critic = _mlp((objective.features + objective.classes, *objective.hidden, 1))
        self.encoder = None
        if isinstance(objective, VAEWGANGP):
            self.encoder = _mlp((objective.features + objective.classes, *objective.hidden, 2 * objective.noise))

    def generate(self, z: Tensor, labels: Tensor) -> Tensor:
        rows = self.generator(torch.cat([z, labels], dim=1))
        return torch.tanh(rows) if self.objective.bounded else rows

    def latent(self, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """z drawn from the encoder's distribution, and its KL to the prior."""
        mean, log_variance = self.encoder(torch.cat([x, labels], dim=1)).chunk(2, dim=1)
        kl = 0.5 * (mean.square() + torch.expm1(log_variance) - log_variance).sum(dim=1).mean()
        return mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean), kl

    def judge(self, x: Tensor, labels: Tensor) -> Tensor:
        return self.critic(torch.cat([x, labels], dim=1))

    def critic_loss(self, x: Tensor, labels: Tensor) -> Tensor:
        with torch.no_grad():
            z = torch.randn(len(x), self.objective.noise, device=x.device)
            if self.encoder is not None:
                z[::2] = self.latent(x[::2], labels[::2])[0]
            made = self.generate(z, labels)
        mix = torch.rand(len(x), 1, device=x.device)
        between = (mix * x + (1 - mix) * made).requires_grad_()
        (slope,) = torch.autograd.grad(self.judge(between, labels).sum(), between, create_graph=True)
        penalty = (slope.norm(dim=1) - 1).square().mean()
        return self.judge(made, labels).mean() - self.judge(x, labels).mean() + self.objective.penalty * penalty

    def generator_loss(self, x: Tensor, labels: Tensor) -> Tensor:
        z = torch.randn(len(x), self.objective.noise, device=x.device)
        if self.encoder is None:
            return -self.judge(self.generate(z, labels), labels).mean()
        latent, kl = self.latent(x, labels)
        twice = labels.repeat(2, 1)
        made = self.generate(torch.cat([z, latent]), twice)
        error = functional.mse_loss(made[len(x) :], x)
        return self.objective.reconstruction * error + self.objective.beta * kl - self.judge(made, twice).mean()


def build(
    objective: Wasserstein,
    x: np.ndarray,
    y: np.ndarray,
    *,
    batch: int,
    critic_steps: int,
    device: str = "cpu",
    compiled: Callable[[Networks], object] | None = None,
) -> Callable[[int, int], object]:
    """A function that takes so many steps of the generator on so many threads: rows x [n, d], labels y [n].

    `compiled` gets the networks, to put what `torch.compile` makes of them in the place of their functions.
    """
    torch.manual_seed(0)
    networks = Networks(objective).to(device)
    critic = list(networks.critic.parameters())
    others = [each for name, each in networks.named_parameters() if not name.startswith("critic")]
    of_critic, of_others = (torch.optim.Adam(each, lr=objective.rate, betas=(0.5, 0.9)) for each in (critic, others))
    if compiled:
        compiled(networks)
    rows = torch.tensor(np.array(x, np.float32), device=device)
    labels = functional.one_hot(torch.tensor(np.array(y, np.int64), device=device), objective.classes).float()

    def drawn() -> tuple[Tensor, Tensor]:
        chosen = torch.randint(len(rows), (batch,), device=device)
        return rows[chosen], labels[chosen]

    def train(steps: int, threads: int) -> None:
        torch.set_num_threads(threads)
        for _ in range(steps):
            for _ in range(critic_steps):
                of_critic.zero_grad()
                networks.critic_loss(*drawn()).backward()
                of_critic.step()
            of_others.zero_grad()
            networks.generator_loss(*drawn()).backward()
            of_others.step()

    return train
