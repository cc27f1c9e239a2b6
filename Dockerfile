# The environment of the locks, with the code. Data, checkpoints and results are mounted:
#   docker build -t dest .                       # for CUDA
#   docker build -t dest --build-arg TORCH=cpu . # without; needs pip configured for PyTorch's CPU builds (PIP_EXTRA_INDEX_URL)
#   docker run --gpus all --shm-size 8g -v "$PWD/data:/dest/data" -v "$PWD/ckpt:/dest/ckpt" -v "$PWD/result:/dest/result" \
#       dest scripts/train_anetqa.sh
# locks/cpu.lock has the CPU wheel of Python 3.11 alone. The CUDA libraries come with PyTorch's wheels: the host needs a driver alone.
FROM python:3.11-slim

ARG TORCH=cuda
ARG PIP_EXTRA_INDEX_URL
WORKDIR /dest
COPY locks locks
RUN pip install --no-cache-dir --require-hashes -r locks/run.lock -r locks/demo.lock -r locks/wandb.lock -r "locks/$TORCH.lock"
COPY . .
ENV PYTHON=python PYTHONUNBUFFERED=1
ENTRYPOINT ["bash"]
CMD ["scripts/demo.sh"]
