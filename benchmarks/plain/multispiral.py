"""Three spiral arms in plain PyTorch, as an introductory article does it."""

import torch
from measure import finish, parse, spiral_arms
from torch import nn

args = parse(epochs=2_000)
torch.manual_seed(args.seed)

x, y = (tensor.to(args.device) for tensor in spiral_arms(arms=3))
model = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3)).to(args.device)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

history = {"loss": [], "accuracy": []}
loop_started = args.clock()
for _ in range(args.epochs):
    logits = model(x)
    loss = criterion(logits, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    accuracy = (logits.argmax(dim=1) == y).float().mean()
    history["loss"].append(loss.item())
    history["accuracy"].append(accuracy.item())
loop_ended = args.clock()

torch.save(model.state_dict(), args.out)
finish(args, (loop_started, loop_ended), quality=("train accuracy", history["accuracy"][-1]), history=history)
