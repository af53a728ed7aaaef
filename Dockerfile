# Trains on CPUs, with PyTorch's wheels that bring no CUDA.
#   docker build -t littlenets .
#   docker run --rm -v "$PWD/outputs:/littlenets/outputs" littlenets train.py model=spiral
FROM python:3.12-slim

# git names the state of the source in results.json.
RUN apt-get update && apt-get install -y --no-install-recommends git && rm -rf /var/lib/apt/lists/*
WORKDIR /littlenets
COPY constraints.txt pyproject.toml README.md ./
COPY src src
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu -c constraints.txt -e .
COPY . .
ENTRYPOINT ["python"]
CMD ["train.py"]
