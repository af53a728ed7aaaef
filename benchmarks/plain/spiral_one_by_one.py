"""Two spiral arms in plain PyTorch, one point at a time."""

import torch
from measure import finish, parse, spiral_arms
from torch import nn

args = parse(epochs=10)
torch.manual_seed(args.seed)

x, labels = spiral_arms(arms=2)
x, y = x.to(args.device), labels.float().unsqueeze(1).to(args.device)
model = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1), nn.Sigmoid()).to(
    args.device
)
criterion = nn.BCELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.001)

history = {"loss": [], "accuracy": []}
loop_started = args.clock()
for _ in range(args.epochs):
    total_loss, hits = 0.0, 0
    for sample in torch.randperm(len(x)).split(1):
        prediction = model(x[sample])
        loss = criterion(prediction, y[sample])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total_loss += loss.item()
        hits += ((prediction > 0.5) == (y[sample] > 0.5)).sum().item()
    history["loss"].append(total_loss / len(x))
    history["accuracy"].append(hits / len(x))
loop_ended = args.clock()

torch.save(model.state_dict(), args.out)
finish(args, (loop_started, loop_ended), quality=("train accuracy", history["accuracy"][-1]), history=history)
