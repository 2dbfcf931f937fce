"""A task in one file: circles, squares and crosses under noise, told apart by a small convolutional net."""

import torch
from torch import Tensor, nn

from peer import Task


def draw(number: int, noise: float) -> tuple[Tensor, int]:
    """Return the image with this number, 1 by 12 by 12, and what it shows."""
    dice = torch.Generator().manual_seed(number)
    row, column = torch.randint(4, 8, (2,), generator=dice).tolist()
    y, x = torch.meshgrid(torch.arange(12.0) - row, torch.arange(12.0) - column, indexing="ij")
    reach = torch.maximum(x.abs(), y.abs())
    shape = ((torch.hypot(x, y) - 3).abs() < 0.5, reach == 3, (x * y == 0) & (reach <= 3))[number % 3]
    return (shape + noise * torch.randn(12, 12, generator=dice))[None], number % 3


class Shapes(Task):
    """Settings: channels of the net, and how strong the noise is."""

    def __init__(self, width: int = 16, noise: float = 0.5) -> None:
        self.width, self.noise = width, noise

    def model(self) -> nn.Module:
        first = nn.Sequential(nn.Conv2d(1, self.width, 3), nn.ReLU(), nn.MaxPool2d(2))
        second = nn.Sequential(nn.Conv2d(self.width, self.width, 3), nn.ReLU(), nn.Flatten())
        return nn.Sequential(first, second, nn.Linear(9 * self.width, 3))

    def training(self) -> list[tuple[Tensor, int]]:
        return [draw(number, self.noise) for number in range(1000, 5000)]

    def held_out(self) -> list[tuple[Tensor, int]]:
        return [draw(number, self.noise) for number in range(1000)]

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return nn.functional.cross_entropy(model(batch[0]), batch[1])

    def measures(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        return {"accuracy": (model(batch[0]).argmax(1) == batch[1]).float().mean()}
