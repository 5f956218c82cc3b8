"""Means of an epoch by hand."""

import pytest
import torch

from pskd_core.training.meter import Meter


def test_means_are_over_samples_and_not_over_batches() -> None:
    """A batch of three counts three times as much as a batch of one."""
    meter = Meter()
    meter.add("a", torch.tensor(1.0), samples=3)
    meter.add("a", torch.tensor(5.0), samples=1)
    assert meter.means() == {"a": 2.0}


def test_each_class_has_a_mean_of_its_own() -> None:
    """Over all batches; a class without a sample has none."""
    meter = Meter()
    meter.add_by_class("a", torch.tensor([1.0, 0.0, 0.5]), torch.tensor([0, 2, 2]), classes=4)
    meter.add_by_class("a", torch.tensor([0.25]), torch.tensor([2]), classes=4)
    assert meter.means_by_class() == {"a/0": 1.0, "a/2": pytest.approx(0.25)}
