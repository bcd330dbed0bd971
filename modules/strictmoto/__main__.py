"""`python -m strictmoto`: an empty account, until Ctrl-C."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys

from strictmoto.account import REGION, Account


def main(arguments: list[str] | None = None) -> int:
    """Run an account; return 0, or 2 where its port is taken."""
    parser = argparse.ArgumentParser(prog="python -m strictmoto", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="loopback port; a free one by default")
    parser.add_argument("--region", default=REGION, help="default Region of the environment; %(default)s by default")
    parser.add_argument("--no-iam", action="store_true", help="let every caller do everything")
    chosen = parser.parse_args(arguments)
    try:
        with Account(port=chosen.port, region=chosen.region, enforce_iam=not chosen.no_iam) as account:
            # A session token of others would be sent with these keys, and Terraform prefers a profile to them.
            print("unset AWS_SESSION_TOKEN AWS_PROFILE", flush=True)
            for name, value in account.environment.items():
                print(f"export {name}={shlex.quote(value)}", flush=True)
            signal.sigwait({signal.SIGINT, signal.SIGTERM})
    except (OSError, OverflowError) as error:
        print(f"port {chosen.port}: {error}; choose another one with --port, or leave it out", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    # Blocked before any thread begins, so that the main one alone waits for them.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    sys.exit(main())
