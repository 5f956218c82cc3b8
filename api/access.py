"""Which scope a key needs for which operation: one table, and no route without a line in it."""

from collections.abc import Iterable, Mapping

from store.keys import Scope

_READ, _SUBMIT, _CLASSIFY = Scope.READ, Scope.SUBMIT, Scope.CLASSIFY
_PROMOTE, _ADMIN = Scope.PROMOTE, Scope.ADMIN

# None: open to whoever reaches the port, since it says nothing of any tenant.
SCOPES: Mapping[str, Scope | None] = {
    "GET /livez": None,
    "GET /readyz": None,
    "GET /v2": None,
    "GET /v2/health/live": None,
    "GET /v2/health/ready": None,
    "GET /metrics": _READ,
    "POST /v1/datasets": _SUBMIT,
    "GET /v1/datasets": _READ,
    "GET /v1/datasets/{dataset_id}": _READ,
    "GET /v1/datasets/{dataset_id}/recordings": _READ,
    "GET /v1/datasets/{dataset_id}/recordings/{recording_id}": _READ,
    "DELETE /v1/datasets/{dataset_id}": _SUBMIT,
    "POST /v1/jobs": _SUBMIT,
    "GET /v1/jobs": _READ,
    "GET /v1/jobs/{job_id}": _READ,
    "DELETE /v1/jobs/{job_id}": _SUBMIT,
    "GET /v1/jobs/{job_id}/runs": _READ,
    "POST /v1/jobs/{job_id}/cancel": _SUBMIT,
    "POST /v1/jobs/{job_id}/pause": _SUBMIT,
    "POST /v1/jobs/{job_id}/resume": _SUBMIT,
    "POST /v1/jobs/{job_id}/retry": _SUBMIT,
    "GET /v1/jobs/{job_id}/metrics": _READ,
    "GET /v1/runs/{run_id}/checkpoints": _READ,
    "GET /v1/runs/{run_id}/checkpoints/{epoch}": _READ,
    "GET /v1/jobs/{job_id}/events": _READ,
    "GET /v1/runs/{run_id}/report": _READ,
    "GET /v1/runs/{run_id}/predictions": _READ,
    "POST /v1/sweeps": _SUBMIT,
    "GET /v1/sweeps": _READ,
    "GET /v1/sweeps/{sweep_id}": _READ,
    "DELETE /v1/sweeps/{sweep_id}": _SUBMIT,
    "GET /v1/sweeps/{sweep_id}/summary": _READ,
    "POST /v1/sweeps/{sweep_id}/cancel": _SUBMIT,
    "GET /v1/leaderboard": _READ,
    "GET /v1/leaderboard/comparison": _READ,
    "GET /v1/models": _READ,
    "GET /v1/models/{name}": _READ,
    "DELETE /v1/models/{name}": _PROMOTE,
    "GET /v1/models/{name}/versions/{version}": _READ,
    "DELETE /v1/models/{name}/versions/{version}": _PROMOTE,
    "GET /v1/models/{name}/versions/{version}/download": _READ,
    "GET /v1/models/{name}/aliases/{alias}": _READ,
    "PUT /v1/models/{name}/aliases/{alias}": _PROMOTE,
    "DELETE /v1/models/{name}/aliases/{alias}": _PROMOTE,
    "GET /v1/models/{name}/history": _READ,
    "POST /v1/models/{name}/classify": _CLASSIFY,
    # All of them: whoever has a recording labelled may wait for its timeline, and read it.
    "POST /v1/classifications": _CLASSIFY,
    "GET /v1/classifications": _CLASSIFY,
    "GET /v1/classifications/{classification_id}": _CLASSIFY,
    "GET /v1/classifications/{classification_id}/segments": _CLASSIFY,
    "GET /v1/classifications/{classification_id}/windows": _CLASSIFY,
    "POST /v1/classifications/{classification_id}/cancel": _CLASSIFY,
    "DELETE /v1/classifications/{classification_id}": _CLASSIFY,
    "GET /v2/models/{name}": _CLASSIFY,
    "GET /v2/models/{name}/versions/{version}": _CLASSIFY,
    "GET /v2/models/{name}/ready": _CLASSIFY,
    "GET /v2/models/{name}/versions/{version}/ready": _CLASSIFY,
    "POST /v2/models/{name}/infer": _CLASSIFY,
    "POST /v2/models/{name}/versions/{version}/infer": _CLASSIFY,
    "GET /v1/system": _READ,
    "GET /v1/usage": _READ,
    "POST /v1/webhooks": _ADMIN,
    "GET /v1/webhooks": _ADMIN,
    "GET /v1/webhooks/{webhook_id}": _ADMIN,
    "DELETE /v1/webhooks/{webhook_id}": _ADMIN,
    "POST /v1/webhooks/{webhook_id}/test": _ADMIN,
    "POST /v1/keys": _ADMIN,
    "GET /v1/keys": _ADMIN,
    "GET /v1/keys/{key_id}": _ADMIN,
    "POST /v1/keys/{key_id}/revoke": _ADMIN,
}

# Streams over WebSockets, which OpenAPI has no words for: the contract lists them under `x-websockets`.
STREAMS: Mapping[str, Scope] = {
    "WS /v1/models/{name}/stream": _CLASSIFY,
}

# What people see in a browser, beside the contract; a page's own requests go to operations above.
PAGES: Mapping[str, Scope | None] = {
    "GET /": None,
    "GET /static/{name}": None,
    "GET /sign-in": None,
    "POST /sign-in": None,
    "POST /sign-out": None,
    "GET /docs": None,
    "GET /docs/start.js": None,
    "GET /docs/swagger-ui-bundle.js": None,
    "GET /docs/swagger-ui.css": None,
    "GET /jobs": _READ,
    "GET /jobs/new": _READ,
    "GET /jobs/{job_id}": _READ,
    "GET /changes/jobs": _READ,
    "GET /changes/sweeps": _READ,
    "GET /changes/sweeps/{sweep_id}": _READ,
    "GET /changes/datasets": _READ,
    "GET /changes/system": _READ,
    "GET /sweeps": _READ,
    "GET /sweeps/{sweep_id}": _READ,
    "GET /leaderboard": _READ,
    "GET /leaderboard/compare": _READ,
    "GET /leaderboard/{row_id}": _READ,
    "GET /classify": _READ,
    "POST /classify/{name}": _CLASSIFY,
    "GET /datasets": _READ,
    "GET /datasets/{dataset_id}": _READ,
    "GET /models": _READ,
    "GET /models/{name}": _READ,
    "GET /system": _READ,
    "GET /keys": _ADMIN,
}


def scope_of(methods: Iterable[str], path: str) -> Scope | None:
    """The scope that a route needs; None: it is open.

    Raises:
        LookupError: the table does not say, so nobody has decided who may ask it.
    """
    (operation,) = (f"{method} {path}" for method in methods)
    for table in (SCOPES, STREAMS, PAGES):
        if operation in table:
            return table[operation]
    raise LookupError(f"api/access.py does not say which scope `{operation}` needs; add a line there")
