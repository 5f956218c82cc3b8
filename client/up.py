"""`pskd up`: the embedded stack in the foreground, until it is told to stop."""

import json
import os
import queue
import signal
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path

import typer
from rich.console import Console

from client import output
from client.home import HomeInUse
from client.local import Addresses, Interrupted, Options, cores, stack
from client.parts import StackError

_FAILED = 1


def run_stack(home: Path, *, host: str, port: int, mlflow_port: int, runs_at_once: int | None, as_json: bool) -> None:
    """Start, announce, wait, stop; exits with 1 if a part cannot start."""
    options = Options(home, host=host, port=port, mlflow_port=mlflow_port, runs_at_once=runs_at_once or cores())
    messages, stopping = output.stderr(), stop_on_signals()

    def say(text: str) -> None:
        messages.print(f"[dim]{time.strftime('%H:%M:%S')}[/]", end=" ")
        messages.print(text, markup=False)

    try:
        say(f"starting in {home}")
        with stack(options, say=say, stopping=stopping) as addresses:
            _announce(addresses, as_json=as_json)
            stopping.wait()
            say("stopping")
        say("everything has stopped")
    except (HomeInUse, StackError) as error:
        output.report_error(error)
        raise typer.Exit(_FAILED) from error
    except Interrupted:
        say("stopped while it was starting")


def stop_on_signals() -> threading.Event:
    """An event that Ctrl-C, SIGTERM or a closed terminal sets; what the parent told us to ignore stays ignored."""
    asked: queue.SimpleQueue[int] = queue.SimpleQueue()  # a handler may put into it, and could deadlock on an Event
    stopping = threading.Event()

    def pass_on() -> None:
        asked.get()
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, _frame: asked.put(number))
    threading.Thread(target=pass_on, daemon=True).start()
    return stopping


def _announce(addresses: Addresses, *, as_json: bool) -> None:
    if as_json:
        plain = {name: str(value) for name, value in asdict(addresses).items()}
        sys.stdout.write(json.dumps({"pid": os.getpid(), **plain}) + "\n")
        sys.stdout.flush()
        return
    console: Console = output.stdout()
    console.print("[bold green]PSKD is up[/]")
    for line in output.aligned(
        [
            ("  service", addresses.url, f"documented at {addresses.url}/docs"),
            ("  MLflow", addresses.mlflow_url, "takes a few seconds more"),
            ("  home", str(addresses.home), "all state and the logs"),
        ]
    ):
        console.print(line, markup=False)
    console.print("Ctrl-C stops it. In another terminal: pskd dataset add, submit, watch, leaderboard, classify")
