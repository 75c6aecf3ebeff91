"""An epoch in fastai with torchvision's MNIST in DataLoaders, as fastai's page on migrating from PyTorch shows it."""

import time

import networks
import torch
from fastai.callback.core import Callback
from fastai.callback.schedule import Learner  # with fit_one_cycle
from fastai.data.core import DataLoaders
from fastai.metrics import accuracy
from fastai.optimizer import Adam
from recipe import answer, parse_arguments
from torch import nn
from torch.utils.data import DataLoader, Subset, random_split
from torchvision import transforms
from torchvision.datasets import MNIST


class TrainingTime(Callback):
    def before_train(self):
        self.began = time.time()

    def after_train(self):
        self.seconds = time.time() - self.began


recipe = parse_arguments()
torch.manual_seed(recipe.seed)
transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
train_set, val_set = random_split(MNIST(recipe.data, train=True, transform=transform), [11 / 12, 1 / 12])
test_set = MNIST(recipe.data, train=False, transform=transform)
if recipe.steps:
    train_set = Subset(train_set, range(min(len(train_set), recipe.steps * recipe.batch_size)))
options = {"batch_size": recipe.batch_size, "num_workers": recipe.workers}
train_loader = DataLoader(train_set, shuffle=True, drop_last=True, **options)
learner = Learner(
    DataLoaders(train_loader, DataLoader(val_set, **options)),
    getattr(networks, recipe.network)(),
    loss_func=nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing),
    opt_func=Adam,  # with decoupled weight decay, as AdamW
    metrics=accuracy,
    cbs=[timer := TrainingTime()],
)
if recipe.one_cycle:
    learner.fit_one_cycle(1, recipe.lr, pct_start=0.3, wd=recipe.weight_decay)
else:
    learner.fit(1, recipe.lr, wd=recipe.weight_decay)
_, test_accuracy = learner.validate(dl=DataLoader(test_set, **options))
answer(timer.seconds, len(train_loader) * recipe.batch_size, float(test_accuracy))
