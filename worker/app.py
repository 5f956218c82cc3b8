"""The Celery app: it carries bare nudges, so it keeps no results and trusts no redelivery."""

from celery import Celery

from store.settings import Settings

WAKE = "pskd.wake"


def make_app(settings: Settings) -> Celery:
    """An app that can send nudges and, with tasks installed, be a worker."""
    app = Celery("pskd", broker=settings.broker_url, set_as_current=False)
    app.conf.update(
        # Whether the broker is there at the start or comes back after hours: go on trying.
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # A broker that hangs is a broker that is down.
        broker_transport_options={"socket_timeout": 10, "socket_connect_timeout": 5},
        result_backend=None,
        task_ignore_result=True,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
    )
    return app


def nudge(app: Celery, queue: str, *, expires_s: float) -> None:
    """Send one nudge; raises if the broker is away."""
    app.send_task(WAKE, kwargs={"queue": queue}, queue=queue, retry=False, expires=expires_s)
