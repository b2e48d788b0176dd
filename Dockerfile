# modelglot with everything a registry needs. docs/guides/registry.md says how to use it.
FROM python:3.12-slim AS build
RUN apt-get update && apt-get install --yes --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY src src
RUN python -m venv /opt/modelglot && /opt/modelglot/bin/pip install --no-cache-dir '.[remote,catalog,hdf5]'

FROM python:3.12-slim
COPY --from=build /opt/modelglot /opt/modelglot
RUN useradd --uid 10001 --create-home modelglot
USER 10001
WORKDIR /work
ENV PATH=/opt/modelglot/bin:$PATH PYTHONUNBUFFERED=1
ENTRYPOINT ["modelglot"]
