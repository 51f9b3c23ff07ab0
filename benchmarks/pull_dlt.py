"""The same orders through dlt's rest_api source, in a process of its own.

    python -m benchmarks.pull_dlt URL KEY DATABASE_URL

Needs `dlt[postgres]` and nothing of ours but benchmarks.memory. Prints {"seconds", "rows", "peak_mib"} as JSON.
"""

import json
import os
import sys
import tempfile
import time

from benchmarks.memory import peak_mib


def main() -> None:
    url, key, database_url = sys.argv[1:4]
    started = time.perf_counter()
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"
    import dlt
    from dlt.sources.rest_api import rest_api_source

    source = rest_api_source(
        {
            "client": {
                "base_url": f"{url}/",
                "auth": {"type": "bearer", "token": key},
                "paginator": {"type": "page_number", "base_page": 1, "page_param": "page", "total_path": "last_page"},
            },
            "resources": [
                {
                    "name": "orders",
                    "primary_key": "id",
                    "write_disposition": "merge",
                    "endpoint": {
                        "path": "order",
                        "data_selector": "data",
                        "params": {
                            "limit": 50,
                            "sort": "id",
                            "include": "buyer,products.offer,manager,marketing,payments,shipping",
                        },
                    },
                }
            ],
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        pipeline = dlt.pipeline(
            "bench",
            destination=dlt.destinations.postgres(database_url),
            dataset_name="dlt_bench",
            pipelines_dir=folder,
        )
        pipeline.run(source)
        seconds = time.perf_counter() - started
        with pipeline.sql_client() as client:
            rows = client.execute_sql("select count(*) from orders")[0][0]
    print(json.dumps({"seconds": seconds, "rows": rows, "peak_mib": peak_mib()}))


if __name__ == "__main__":
    main()
