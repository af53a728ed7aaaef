"""MNIST in plain PyTorch with torchvision's own pipeline, as an introductory article does it."""

import torch
from measure import finish, parse
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

args = parse(epochs=3)
torch.manual_seed(args.seed)

transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
train_loader = DataLoader(datasets.MNIST(args.data, train=True, transform=transform), batch_size=64, shuffle=True)
test_loader = DataLoader(datasets.MNIST(args.data, train=False, transform=transform), batch_size=1000)

device = args.device
model = nn.Sequential(
    nn.Conv2d(1, 32, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(32, 64, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(3136, 128),
    nn.ReLU(),
    nn.Linear(128, 10),
).to(device)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.001)

history = {"loss": [], "accuracy": []}
loop_started = args.clock()
for _ in range(args.epochs):
    total_loss, hits = 0.0, 0
    for images, labels in train_loader:
        images, labels = images.to(device), labels.to(device)
        logits = model(images)
        loss = criterion(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total_loss += loss.item() * len(images)
        hits += (logits.argmax(dim=1) == labels).sum().item()
    history["loss"].append(total_loss / len(train_loader.dataset))
    history["accuracy"].append(hits / len(train_loader.dataset))
loop_ended = args.clock()

torch.save(model.state_dict(), args.out)
hits = 0
with torch.no_grad():
    for images, labels in test_loader:
        hits += (model(images.to(device)).argmax(dim=1).cpu() == labels).sum().item()
finish(args, (loop_started, loop_ended), quality=("test accuracy", hits / len(test_loader.dataset)), history=history)
