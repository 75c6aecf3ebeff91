"""An epoch in plain Lightning, with torchvision's MNIST in a DataLoader, as Lightning's documentation shows it."""

import time

import lightning as L
import networks
import torch
from recipe import answer, parse_arguments
from torch import nn
from torch.utils.data import DataLoader, random_split
from torchvision import transforms
from torchvision.datasets import MNIST


class LitClassifier(L.LightningModule):
    def __init__(self, recipe, num_steps):
        super().__init__()
        self.recipe, self.num_steps = recipe, num_steps
        self.model = getattr(networks, recipe.network)()
        self.loss = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)

    def training_step(self, batch, batch_idx):
        images, labels = batch
        loss = self.loss(self.model(images), labels)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        self.score(batch, "val")

    def test_step(self, batch, batch_idx):
        self.score(batch, "test")

    def score(self, batch, split):
        images, labels = batch
        logits = self.model(images)
        accuracy = networks.num_correct(logits, labels) / len(labels)
        self.log_dict({f"{split}_loss": self.loss(logits, labels), f"{split}_accuracy": accuracy})

    def configure_optimizers(self):
        recipe = self.recipe
        optimizer = torch.optim.AdamW(self.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
        if not recipe.one_cycle:
            return optimizer
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=recipe.lr, total_steps=self.num_steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class TrainingTime(L.Callback):
    def on_train_epoch_start(self, trainer, pl_module):
        self.began = time.time()

    def on_validation_start(self, trainer, pl_module):
        if not trainer.sanity_checking:
            self.seconds = time.time() - self.began


recipe = parse_arguments()
L.seed_everything(recipe.seed)
transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
train_set, val_set = random_split(MNIST(recipe.data, train=True, transform=transform), [11 / 12, 1 / 12])
test_set = MNIST(recipe.data, train=False, transform=transform)
options = {"batch_size": recipe.batch_size, "num_workers": recipe.workers}
train_loader = DataLoader(train_set, shuffle=True, drop_last=True, **options)
num_steps = min(recipe.steps or len(train_loader), len(train_loader))
timer = TrainingTime()
trainer = L.Trainer(max_epochs=1, limit_train_batches=num_steps, callbacks=[timer])
model = LitClassifier(recipe, num_steps)
trainer.fit(model, train_loader, DataLoader(val_set, **options))
(test,) = trainer.test(model, DataLoader(test_set, **options))
answer(timer.seconds, num_steps * recipe.batch_size, test["test_accuracy"])
