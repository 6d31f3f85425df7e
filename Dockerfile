# The app and what it needs to run, nothing of the platform. Made by scripts/image.
#
# The same sources make the same image: the base is named by its digest (an index of all
# architectures), packages and certificates by their hashes, and times are SOURCE_DATE_EPOCH.
ARG PYTHON=docker.io/library/python:3.11.16-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

FROM ${PYTHON} AS build
ARG SOURCE_DATE_EPOCH=0
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /opt/etcetera
COPY requirements/image.txt /build/
RUN python -m venv --without-pip /opt/venv \
    && python -m pip --python /opt/venv/bin/python install \
        --no-compile --no-deps --require-hashes --only-binary :all: -r /build/image.txt
COPY app app
# Nothing can be written beside the code later on, and hashes, unlike times, are always the same.
# What a checkout's umask was is nobody's business.
RUN python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/venv/lib app \
    && chmod -R u=rwX,go=rX /opt

FROM ${PYTHON}
ARG VERSION=0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="Etcetera.Exchange" \
    org.opencontainers.image.description="Website, reader of mentions, workers and monitor" \
    org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.created="${CREATED}"
# Who signs the certificates of Amazon RDS, for sslrootcert in URLs.
ADD --checksum=sha256:e5bb2084ccf45087bda1c9bffdea0eb15ee67f0b91646106e466714f9de3c7e3 \
    --chmod=0444 \
    https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem /etc/ssl/certs/rds.pem
COPY --from=build /opt /opt
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp
WORKDIR /opt/etcetera
# As in components/kubernetes.py; owns nothing here.
USER 10001:10001
EXPOSE 8000 9100
ENTRYPOINT ["python", "-m", "app"]
CMD ["--help"]
