"""An epoch in Keras 3 on PyTorch, with MNIST in arrays, as Keras's MNIST example shows it."""

import os
import time

os.environ["KERAS_BACKEND"] = "torch"

import keras
from keras import layers
from recipe import answer, parse_arguments
from torchvision.datasets import MNIST


def tinyvgg():
    convs = [layers.Conv2D(10, 3, padding="same", activation="relu") for _ in range(4)]
    return [*convs[:2], layers.MaxPooling2D(2), *convs[2:], layers.MaxPooling2D(2), layers.Flatten(), layers.Dense(10)]


def compact_cnn():
    def stage(width, kernel_size, *pool):
        conv = layers.Conv2D(width, kernel_size, padding="same", use_bias=False)
        norm = layers.BatchNormalization(momentum=0.9)  # as PyTorch's; the default is too slow for 150 steps
        return [conv, *pool, norm, layers.ReLU()]

    stages = [*stage(8, 5, layers.MaxPooling2D(2)), *stage(24, 3, layers.MaxPooling2D(2)), *stage(32, 3)]
    return [*stages, layers.Flatten(), layers.Dense(10)]


class TrainingTime(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.time()

    def on_test_begin(self, logs=None):
        self.seconds = time.time() - self.began


recipe = parse_arguments()
keras.utils.set_random_seed(recipe.seed)
train_set, test_set = (MNIST(recipe.data, train=train) for train in (True, False))
(x_train, y_train), (x_test, y_test) = (
    (split.data.numpy()[..., None].astype("float32") / 255, keras.utils.to_categorical(split.targets.numpy(), 10))
    for split in (train_set, test_set)
)
num_train = len(x_train) - len(x_train) // 12
num_steps = min(recipe.steps or num_train, num_train // recipe.batch_size)
images = num_steps * recipe.batch_size
lr = recipe.lr
if recipe.one_cycle:  # Keras has no one-cycle schedule; this is the nearest that it has
    rise = int(0.3 * num_steps)
    schedule = keras.optimizers.schedules.CosineDecay
    lr = schedule(recipe.lr / 25, num_steps - rise, warmup_target=recipe.lr, warmup_steps=rise)
model = keras.Sequential([keras.Input((28, 28, 1)), *globals()[recipe.network]()])
loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing)
model.compile(keras.optimizers.AdamW(lr, weight_decay=recipe.weight_decay), loss, metrics=["accuracy"])
timer, validation = TrainingTime(), (x_train[num_train:], y_train[num_train:])
model.fit(x_train[:images], y_train[:images], recipe.batch_size, 1, 2, [timer], validation_data=validation)
_, accuracy = model.evaluate(x_test, y_test, verbose=0)
answer(timer.seconds, images, accuracy)
