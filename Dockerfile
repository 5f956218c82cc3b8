# Two images from one file: `--target api` (no torch) and `--target worker` (also the keeper and the MLflow server).
FROM python:3.11-slim-bookworm AS base
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1 PATH=/opt/pskd/bin:$PATH

FROM base AS build
# A worker without a GPU is 4 GB smaller with CPU wheels: give the address of an index that has them.
ARG PIP_EXTRA_INDEX_URL=
RUN python -m venv /opt/pskd
WORKDIR /src
COPY pyproject.toml requirements.lock README.md ./

# Dependencies first, code after: a change of code leaves the large layers alone.
FROM build AS build-api
RUN pip install --constraint requirements.lock ".[api,otel]"
COPY . .
RUN pip install --no-deps --force-reinstall .

FROM build AS build-worker
RUN pip install --constraint requirements.lock ".[otel,worker]"
COPY . .
RUN pip install --no-deps --force-reinstall .

FROM base AS runtime
RUN useradd --uid 10001 --create-home --home-dir /var/lib/pskd pskd
ENV PSKD_HOME=/var/lib/pskd
WORKDIR /var/lib/pskd
USER 10001

FROM runtime AS api
COPY --from=build-api /opt/pskd /opt/pskd
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/livez', timeout=2)"]
CMD ["python", "-m", "api"]

FROM runtime AS worker
COPY --from=build-worker /opt/pskd /opt/pskd
CMD ["python", "-m", "worker"]
