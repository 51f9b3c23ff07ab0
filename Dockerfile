# One image for every process of the stack; docker-compose.yml says which command each runs.
FROM python:3.12-slim-bookworm

RUN useradd --create-home --uid 10001 crm-elt
WORKDIR /app
COPY requirements.lock pyproject.toml README.md ./
RUN pip install --no-cache-dir --require-hashes --requirement requirements.lock
COPY cli.py workspace.yaml ./
COPY commands commands
COPY connectors connectors
COPY dashboard dashboard
COPY database database
COPY dbt_project dbt_project
COPY docker docker
COPY demo demo
COPY ingest_api ingest_api
COPY orchestration orchestration
COPY sync sync
COPY web web
RUN pip install --no-cache-dir --no-deps --no-build-isolation --editable . \
    && mkdir /state && chown crm-elt:crm-elt /state

USER crm-elt
ENV CRM_ELT_HOME=/state \
    CRM_ELT_LOG_FORMAT=json \
    PYTHONUNBUFFERED=1 \
    TZ=UTC
VOLUME /state
ENTRYPOINT ["crm-elt"]
CMD ["doctor"]
