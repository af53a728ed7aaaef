"""y = 2x in plain PyTorch, as an introductory article does it."""

import torch
from measure import finish, parse
from torch import nn

args = parse(epochs=200)
torch.manual_seed(args.seed)

x = torch.arange(1, 6, dtype=torch.float32, device=args.device).unsqueeze(1)
y = 2 * x
model = nn.Linear(1, 1).to(args.device)
criterion = nn.MSELoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

history = {"loss": [], "weight": [], "bias": []}
loop_started = args.clock()
for _ in range(args.epochs):
    prediction = model(x)
    loss = criterion(prediction, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    history["loss"].append(loss.item())
    history["weight"].append(model.weight.item())
    history["bias"].append(model.bias.item())
loop_ended = args.clock()

torch.save(model.state_dict(), args.out)
with torch.no_grad():
    quality = model(torch.tensor([[20.0]], device=args.device)).item()
finish(args, (loop_started, loop_ended), quality=("f(20)", quality), history=history)
