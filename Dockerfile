# The server install: agent and worker, without what only a laptop needs. Build: docker build -t echoic .
FROM python:3.12-slim AS build
RUN python -m venv /opt/echoic
ENV PATH=/opt/echoic/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app
COPY locks/server.txt locks/build.txt locks/
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --require-hashes --only-binary :all: -r locks/server.txt -r locks/build.txt
COPY . .
RUN pip install --no-deps --no-build-isolation --editable . \
    && python -m compileall -q . \
    && pip uninstall --yes setuptools pip

FROM python:3.12-slim
# Here lie the spool of turns that Postgres could not take, and logs: a volume, so that they outlive the container.
ENV PATH=/opt/echoic/bin:$PATH PYTHONUNBUFFERED=1 ECHOIC_DATA_DIR=/var/lib/echoic
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin echoic \
    && install --directory --owner=echoic --group=echoic --mode=700 /var/lib/echoic
COPY --from=build /opt/echoic /opt/echoic
COPY --from=build /app /app
WORKDIR /app
USER echoic
VOLUME /var/lib/echoic
CMD ["echoic", "--help"]
