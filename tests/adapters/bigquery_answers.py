"""A server that answers as BigQuery's REST API does, for what the archive is asked and told.

It understands no SQL: it knows the questions by their first word, and their parameters. Sources:
https://cloud.google.com/bigquery/docs/reference/rest/v2/jobs/query and .../jobs/getQueryResults
"""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

PAGE = 2


class Archive:
    """What the table holds: (data, publish time, whether it is a copy). `fails` answers everything with that status.

    `deletes` is how many rows an order to delete finds; `buffered` refuses it as long as it reaches up to now.
    """

    def __init__(self):
        self.rows = []
        self.asked = []
        self.parameters = []
        self.fails = None
        self.deletes = 0
        self.buffered = False

    def delete(self, body):
        """Rows that are gone, or None when some of them are in the buffer."""
        self.asked.append(body["query"])
        found = {
            one["name"]: one["parameterValue"].get("value")
            or [value["value"] for value in one["parameterValue"].get("arrayValues", [])]
            for one in body["queryParameters"]
        }
        self.parameters.append(found)
        return None if self.buffered and "INTERVAL 0 MINUTE" in body["query"] else self.deletes

    def answer(self, body):
        """Columns and rows of a question."""
        self.asked.append(body["query"])
        if "DISTINCT" in body["query"]:
            said = [json.loads(data) for data, *_ in self.rows]
            ids = [(one.get("userId"), one.get("anonymousId")) for one in said]
            return [("user_id", "STRING"), ("anonymous_id", "STRING")], [*dict.fromkeys(ids)]
        times = {one["name"]: one["parameterValue"]["value"] for one in body["queryParameters"]}
        since, until = (datetime.fromisoformat(times[name]) for name in ("since", "until"))
        rows = [row for row in self.rows if since <= row[1] < until and not row[2]]
        if "COUNT(*)" in body["query"]:
            days = Counter(at.replace(hour=0, minute=0, second=0, microsecond=0) for _, at, _ in rows)
            micros = [(str(int(day.timestamp() * 1_000_000)), str(count)) for day, count in sorted(days.items())]
            return [("day", "TIMESTAMP"), ("events", "INTEGER")], micros
        return [("data", "STRING")], [(data,) for data, _, _ in rows]


@contextmanager
def bigquery(archive: Archive) -> Iterator[str]:
    """Runs; yields its address."""
    answers = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if archive.fails is None and body["query"].strip().startswith("DELETE"):
                self._delete(archive.delete(body))
                return
            job = f"job-{len(answers)}"
            answers[job] = archive.answer(body) if archive.fails is None else None
            self._page(job, 0)

        def do_GET(self):
            url = urlsplit(self.path)
            parts = url.path.strip("/").split("/")
            job, query = parts[-1], parse_qs(url.query)
            if "jobs" in parts:
                reference = {"projectId": "p", "jobId": job, "location": "EU"}
                table = {"projectId": "p", "datasetId": "d", "tableId": job}
                configuration = {"query": {"query": "", "destinationTable": table}, "jobType": "QUERY"}
                status = {"state": "DONE"}
                self._send(200, {"jobReference": reference, "status": status, "configuration": configuration})
            else:
                empty = query.get("maxResults") == ["0"]
                self._page(job, int(query.get("pageToken", ["0"])[0]), 0 if empty else PAGE)

        def _delete(self, gone):
            if gone is None:
                said = "UPDATE or DELETE statement over table d.events would affect rows in the streaming buffer"
                error = {"code": 400, "message": said, "errors": [{"reason": "invalidQuery", "message": said}]}
                self._send(400, {"error": error})
                return
            reference = {"projectId": "p", "jobId": "delete", "location": "EU"}
            self._send(
                200, {"jobReference": reference, "jobComplete": True, "schema": {}, "numDmlAffectedRows": str(gone)}
            )

        def _page(self, job, start, size=PAGE):
            if archive.fails is not None:
                status, reason = archive.fails
                error = {"code": status, "message": "no", "errors": [{"reason": reason, "message": "no"}]}
                self._send(status, {"error": error})
                return
            columns, rows = answers[job]
            body = {
                "jobReference": {"projectId": "p", "jobId": job, "location": "EU"},
                "jobComplete": True,
                "schema": {"fields": [{"name": name, "type": kind, "mode": "NULLABLE"} for name, kind in columns]},
                "rows": [{"f": [{"v": value} for value in row]} for row in rows[start : start + size]],
                "totalRows": str(len(rows)),
            }
            if size and start + size < len(rows):
                body["pageToken"] = str(start + size)
            self._send(200, body)

        def _send(self, status, body):
            raw = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_):
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def at(day, hour=12):
    return datetime(2026, 3, day, hour, tzinfo=UTC)
