# One image for the operator and its workers: their versions cannot differ.

# A tag may be moved, a digest not. Where no registry is reached: --build-arg BASE=python:3.13-slim-trixie.
ARG BASE=python:3.13-slim-trixie@sha256:9d2e5553305c7c7b0097999bb17187c69b921ccd6bc9d40e4bb5ebe652c00285

# Of Debian, before anything of ours: this layer is made anew for another base alone.
FROM ${BASE} AS debian
RUN apt-get update -q && apt-get install -q -y --no-install-recommends libjpeg-turbo-progs

FROM debian AS dependencies
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python3 -m venv /opt/bucketops
COPY requirements/runtime.lock /tmp/
RUN /opt/bucketops/bin/pip install --no-compile --require-hashes --only-binary :all: --requirement /tmp/runtime.lock

# Our own packages stand apart, so that a change of theirs moves a small layer.
FROM dependencies AS packages
COPY api /src/api
COPY operator /src/operator
COPY jobs /src/jobs
RUN /opt/bucketops/bin/pip install --no-compile --no-deps --no-build-isolation --prefix /packages \
    /src/api /src/operator /src/jobs \
 && /opt/bucketops/bin/python -m compileall -q -f --invalidation-mode unchecked-hash -s /packages -p /opt/bucketops /packages

# What installed the rest is not needed any more. Bytecode without time stamps stays valid, however layers are copied.
FROM dependencies AS runtime
RUN /opt/bucketops/bin/pip uninstall --yes hatchling packaging pathspec pluggy tomlkit trove-classifiers pip \
 && rm /opt/bucketops/bin/*ctivate* \
 && /opt/bucketops/bin/python -m compileall -q -f --invalidation-mode unchecked-hash /opt/bucketops/lib

# Of Debian: Python, jpegtran (for ExifPipeline's orientation: Rotate) and their libraries. No shell, no package manager,
# no Perl, no setuid file.
FROM runtime AS system
COPY tools/image_files.py /src/
RUN /opt/bucketops/bin/python /src/image_files.py /image /opt/bucketops/lib jpegtran

FROM scratch
COPY --from=system /image /
# Copied from their layers: a build may have mounted a certificate bundle of its own over them.
COPY --from=dependencies /etc/ssl /etc/ssl
COPY --from=dependencies /usr/lib/ssl /usr/lib/ssl
COPY --from=dependencies /usr/share/ca-certificates /usr/share/ca-certificates
COPY --from=dependencies /usr/share/zoneinfo /usr/share/zoneinfo
COPY --from=runtime /opt/bucketops /opt/bucketops
COPY --from=packages /packages /opt/bucketops
# The user has a number alone, of which some clusters choose another: USER is the name that Kopf asks for.
ENV PATH=/opt/bucketops/bin:/usr/local/bin:/usr/bin:/bin USER=bucketops HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title=bucketops \
      org.opencontainers.image.description="Object storage chores as Kubernetes resources: operator and workers" \
      org.opencontainers.image.licenses=Apache-2.0 \
      org.opencontainers.image.source=https://github.com/bucketops/bucketops \
      org.opencontainers.image.version=$VERSION
USER 65532:65532
CMD ["python", "-I", "-B", "-u", "-m", "bucketops_operator"]
