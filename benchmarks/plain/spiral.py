"""Two spiral arms in plain PyTorch, as an introductory article does it."""

import torch
from measure import finish, parse, spiral_arms
from torch import nn

args = parse(epochs=10_000)
torch.manual_seed(args.seed)

x, labels = spiral_arms(arms=2)
x, y = x.to(args.device), labels.float().unsqueeze(1).to(args.device)
model = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1), nn.Sigmoid()).to(
    args.device
)
criterion = nn.BCELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

history = {"loss": [], "accuracy": []}
loop_started = args.clock()
for _ in range(args.epochs):
    prediction = model(x)
    loss = criterion(prediction, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    accuracy = ((prediction > 0.5) == (y > 0.5)).float().mean()
    history["loss"].append(loss.item())
    history["accuracy"].append(accuracy.item())
loop_ended = args.clock()

torch.save(model.state_dict(), args.out)
finish(args, (loop_started, loop_ended), quality=("train accuracy", history["accuracy"][-1]), history=history)
