# One image for all roles of all services: `docker run dossierbus services.intake api`.
# Target `sandbox` adds the stand-ins for development; the default target holds the product only.
# To build the same image again give PYTHON_IMAGE with the digest of your registry's copy: name:tag@sha256:…
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

FROM ${PYTHON_IMAGE} AS dependencies
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT=/opt/venv
# Bytecode that does not hold file times, so that the same lock file gives the same layer.
ENV PYC_INVALIDATION_MODE=UNCHECKED_HASH
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir uv==0.13.9
WORKDIR /build
COPY pyproject.toml uv.lock ./
# Hashes come from the lock file; nothing is compiled, so no compiler is needed.
RUN /opt/uv/bin/uv sync --frozen --no-build --no-default-groups

FROM dependencies AS sandbox-dependencies
RUN /opt/uv/bin/uv sync --frozen --no-build --no-default-groups --group sandbox

FROM ${PYTHON_IMAGE} AS base
RUN groupadd --gid 10001 dossierbus && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent dossierbus
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
ENTRYPOINT ["python", "-m"]

FROM base AS sandbox
COPY --from=sandbox-dependencies /opt/venv /opt/venv
COPY deploy ./deploy
# Owned by the user, so that a volume mounted here can be written to.
RUN install --directory --owner 10001 --group 10001 /data
USER 10001:10001
ENV DATA_DIR=/data
CMD ["deploy.local.sandbox"]

FROM base AS runtime
COPY --from=dependencies /opt/venv /opt/venv
COPY shared ./shared
COPY services ./services
RUN python -m compileall -q --invalidation-mode unchecked-hash shared services
USER 10001:10001
EXPOSE 8080
CMD ["services.intake", "api"]
