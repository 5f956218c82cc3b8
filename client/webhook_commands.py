"""`pskd webhooks`."""

from typing import Annotated

import typer

from client import output
from client.options import AsJson, service_of
from client.output import Columns, when
from client.webhooks import Delivery, Webhook

Id = Annotated[str, typer.Argument(metavar="WEBHOOK", help="Its id, as `pskd webhooks list` shows it.")]

WEBHOOKS: Columns[Webhook] = {
    "webhook": lambda hook: hook.id,
    "url": lambda hook: hook.url,
    "since": lambda hook: when(hook.created_at),
    "waiting": lambda hook: str(hook.waiting),
    "given up": lambda hook: str(hook.dead),
}
DELIVERIES: Columns[Delivery] = {
    "message": lambda sent: sent.id,
    "kind": lambda sent: sent.kind,
    "at": lambda sent: when(sent.created_at),
    "state": lambda sent: sent.state,
    "attempts": lambda sent: str(sent.attempts),
    "answer": lambda sent: sent.detail or ("" if sent.status is None else str(sent.status)),
}

webhooks = typer.Typer(no_args_is_help=True, help="URLs that hear of jobs that end.")


@webhooks.command("add")
def add_webhook(
    ctx: typer.Context,
    url: Annotated[str, typer.Argument(metavar="URL", help="https://…")],
    as_json: AsJson = False,
) -> None:
    """Have a URL told; prints the secret that signs each message, this once."""
    with service_of(ctx) as service:
        hook = service.add_webhook(url)
        if as_json:
            output.print_json(hook)
        else:
            output.stderr().print(f"{hook.id}; its secret is not shown again:", markup=False, highlight=False)
            output.stdout().print(hook.secret, markup=False, highlight=False)


@webhooks.command("list")
def list_webhooks(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Where messages go, how many wait and how many were given up."""
    with service_of(ctx) as service:
        empty = "no webhooks; `pskd webhooks add`"
        output.print_many(service.webhooks(), WEBHOOKS, as_json=as_json, empty=empty)


@webhooks.command("show")
def show_webhook(ctx: typer.Context, webhook: Id, as_json: AsJson = False) -> None:
    """What became of its messages, newest first."""
    with service_of(ctx) as service:
        output.print_many(service.deliveries(webhook), DELIVERIES, as_json=as_json, empty="no message yet")


@webhooks.command("test")
def try_webhook(ctx: typer.Context, webhook: Id, as_json: AsJson = False) -> None:
    """Send a message that tells of nothing, and wait for the first answer; fails if that is none."""
    with service_of(ctx) as service:
        sent = service.test_webhook(webhook)
        output.print_many([sent], DELIVERIES, as_json=as_json, empty="")
        if sent.state != "delivered":
            raise typer.Exit(1)


@webhooks.command("remove")
def remove_webhook(ctx: typer.Context, webhook: Id) -> None:
    """Tell it nothing more, not even what is due."""
    with service_of(ctx) as service:
        service.remove_webhook(webhook)
