"""An LSTM on sequences of different lengths, with a LightningDataModule whose batches are dictionaries.

Both know nothing of the package. Shapes: N batch, T longest sequence of the batch, E numbers of a token, K classes.
"""

from typing import Any

import torch
from pytorch_lightning import LightningDataModule, LightningModule
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence
from torch.utils.data import DataLoader, Dataset
from torchmetrics.classification import MulticlassAccuracy

WORDS, CLASSES = 6, 2


class Sentences(Dataset):
    """Random words; whether there are more of the first three than of the others."""

    def __init__(self, samples: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        lengths = torch.randint(2, 9, (samples,), generator=generator).tolist()
        self.words = [torch.randint(1, 1 + WORDS, (length,), generator=generator) for length in lengths]

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, index: int) -> dict[str, Any]:
        words = self.words[index]
        return {"tokens": words, "label": int((words <= WORDS // 2).sum() * 2 > len(words))}


def collate(samples: list[dict[str, Any]]) -> dict[str, Tensor]:
    """Pad with 0: tokens int64 (N, T), lengths and labels int64 (N,)."""
    tokens = [sample["tokens"] for sample in samples]
    return {
        "tokens": pad_sequence(tokens, batch_first=True),
        "lengths": torch.tensor([len(one) for one in tokens]),
        "labels": torch.tensor([sample["label"] for sample in samples]),
    }


class SentencesData(LightningDataModule):
    """Sentences to train on, and as many each for validation and test.

    Args:
        samples: how many.
        batch_size: of each loader.
        seed: of the first of the three.
    """

    def __init__(self, samples: int = 60, batch_size: int = 8, seed: int = 0) -> None:
        super().__init__()
        self.save_hyperparameters()

    def setup(self, stage: str) -> None:
        seeds = enumerate(("fit", "val", "test"), self.hparams.seed)
        self.splits = {name: Sentences(self.hparams.samples, seed) for seed, name in seeds}

    def _loader(self, name: str, shuffle: bool = False) -> DataLoader:
        return DataLoader(self.splits[name], self.hparams.batch_size, shuffle=shuffle, collate_fn=collate)

    def train_dataloader(self) -> DataLoader:
        return self._loader("fit", shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return self._loader("val")

    def test_dataloader(self) -> DataLoader:
        return self._loader("test")


class LSTMClassifier(LightningModule):
    """Tells sentences apart by what is left of them at their ends.

    Args:
        embedding: E.
        hidden: units of the LSTM.
        lr: of Adam.
    """

    def __init__(self, embedding: int = 4, hidden: int = 8, lr: float = 0.01) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.embedding = nn.Embedding(1 + WORDS, embedding, padding_idx=0)
        self.lstm = nn.LSTM(embedding, hidden, batch_first=True)
        self.dropout, self.head = nn.Dropout(0.2), nn.Linear(hidden, CLASSES)
        self.val_acc, self.test_acc = MulticlassAccuracy(CLASSES), MulticlassAccuracy(CLASSES)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        packed = pack_padded_sequence(
            self.embedding(batch["tokens"]), batch["lengths"].cpu(), batch_first=True, enforce_sorted=False
        )
        _, (last, _) = self.lstm(packed)
        return self.head(self.dropout(last[-1]))  # (N, K)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> dict[str, Tensor]:
        loss = F.cross_entropy(self(batch), batch["labels"])
        self.log("train_loss", loss, on_step=True, on_epoch=True, batch_size=len(batch["labels"]))
        return {"loss": loss}

    def _evaluate(self, batch: dict[str, Tensor], stage: str, metric: MulticlassAccuracy) -> None:
        logits = self(batch)
        metric(logits, batch["labels"])
        self.log(f"{stage}_loss", F.cross_entropy(logits, batch["labels"]), batch_size=len(logits))
        self.log(f"{stage}_acc", metric, batch_size=len(logits))

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        self._evaluate(batch, "val", self.val_acc)

    def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        self._evaluate(batch, "test", self.test_acc)

    def predict_step(self, batch: dict[str, Tensor], batch_idx: int) -> dict[str, Tensor]:
        probabilities = self(batch).softmax(dim=1)
        return {"class": probabilities.argmax(dim=1), "probabilities": probabilities}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.hparams.lr)
