"""Measures the account beside stock moto: start, memory, calls a second; writes modules/strictmoto/docs/benchmarks.md.

Each round starts a new process for either, in turn, which makes an account, answers calls
over HTTP and reports. `make bench-account` runs it.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import moto

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "modules/strictmoto/docs/benchmarks.md"
SLOWER_AT_MOST = 1.1
"""What the account may cost: a tenth more than stock moto."""
CALLS = 400

# Runs in a process of its own. Stock moto has no mirroring to compare, so the calls are the plainest of EC2, by the
# root user, and a read of DynamoDB by a role, whose policies the account evaluates.
PROGRAM = """
import json, resource, sys, threading, time
begin = time.perf_counter()
if sys.argv[1] == "account":
    from strictmoto.account import Account
    server = Account()
    server.start()
    endpoint, keys = server.endpoint, server.credentials.as_arguments()
else:
    from moto.server import ThreadedMotoServer
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint, keys = f"http://{host}:{port}", dict(aws_access_key_id="testing", aws_secret_access_key="testing")
import logging
logging.getLogger("werkzeug").setLevel(logging.ERROR)
import boto3
def client(service, **more):
    return boto3.client(service, region_name="eu-central-1", endpoint_url=endpoint, **{**keys, **more})
first = client("ec2")
first.describe_vpcs()
started = time.perf_counter() - begin
dynamodb = client("dynamodb")
dynamodb.create_table(
    TableName="t", BillingMode="PAY_PER_REQUEST",
    AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
    KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
)
dynamodb.put_item(TableName="t", Item={"k": {"S": "1"}})
iam, sts = client("iam"), client("sts")
def allow(**statement):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})
account = sts.get_caller_identity()["Account"]
user = iam.create_user(UserName="u")["User"]["Arn"]
iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=allow(Action="sts:AssumeRole", Resource="*"))
own = iam.create_access_key(UserName="u")["AccessKey"]
own = dict(aws_access_key_id=own["AccessKeyId"], aws_secret_access_key=own["SecretAccessKey"])
trust = allow(Principal={"AWS": user}, Action="sts:AssumeRole")
role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
table = f"arn:aws:dynamodb:eu-central-1:{account}:table/t"
iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=allow(Action="dynamodb:GetItem", Resource=table))
given = client("sts", **own).assume_role(RoleArn=role, RoleSessionName="benchmark")["Credentials"]
as_role = dict(
    aws_access_key_id=given["AccessKeyId"],
    aws_secret_access_key=given["SecretAccessKey"],
    aws_session_token=given["SessionToken"],
)
calls, threads = int(sys.argv[2]), 4
def rate(clients, ask):
    def work(one):
        for _ in range(calls // threads): ask(one)
    begin = time.perf_counter()
    workers = [threading.Thread(target=work, args=(one,)) for one in clients]
    for worker in workers: worker.start()
    for worker in workers: worker.join()
    return calls / (time.perf_counter() - begin)
plain = rate([client("ec2") for _ in range(threads)], lambda ec2: ec2.describe_vpcs())
evaluated = rate(
    [client("dynamodb", **as_role) for _ in range(threads)],
    lambda dynamodb: dynamodb.get_item(TableName="t", Key={"k": {"S": "1"}}),
)
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
server.stop()
print(json.dumps({"start": started, "plain": plain, "evaluated": evaluated, "memory": memory}))
"""
SUBJECTS = {"stock moto": "moto", "strictmoto": "account"}
FIGURES = {
    "start": "from the process to the first answer, s",
    "plain": "DescribeVpcs of the root user, 4 threads, a second",
    "evaluated": "GetItem of a role, 4 threads, a second",
    "memory": "peak memory, MB",
}


def measure(subject: str) -> dict[str, float]:
    """Return the figures of one round of one subject."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, subject, str(CALLS)], capture_output=True, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def table(rounds: dict[str, list[dict[str, float]]]) -> str:
    """Return medians and the account's ratio to stock moto as Markdown."""
    lines = ["|  | stock moto | strictmoto | ratio |", "| --- | ---: | ---: | ---: |"]
    for figure, label in FIGURES.items():
        stock, ours = (statistics.median(one[figure] for one in rounds[subject]) for subject in SUBJECTS)
        lines.append(f"| {label} | {stock:,.2f} | {ours:,.2f} | {ours / stock:.2f} |")
    return "\n".join(lines)


def is_too_slow(rounds: dict[str, list[dict[str, float]]]) -> bool:
    """Return whether the account starts, or answers, more than a tenth slower than stock moto."""
    stock, ours = (
        {figure: statistics.median(one[figure] for one in rounds[subject]) for figure in FIGURES}
        for subject in SUBJECTS
    )
    answers = ("plain", "evaluated")
    return ours["start"] > stock["start"] * SLOWER_AT_MOST or any(stock[a] > ours[a] * SLOWER_AT_MOST for a in answers)


def document(rounds: dict[str, list[dict[str, float]]], count: int) -> str:
    """Return the page."""
    return f"""<!-- Written by `make bench-account`; changes belong into benchmarks/account.py. -->
# Benchmarks of strictmoto

What the account costs beside stock moto, whose server it extends: a record of every call, faults, and the rules of AWS.
Measured on {datetime.date.today()}, {platform.system()} {platform.machine()}, {os.cpu_count()} CPUs, Python
{platform.python_version()}, moto {moto.__version__}. Both ran in turn, each round in new processes; the first round
does not count. Medians of {count} rounds.

{table(rounds)}

The aim: starting and answering take at most a tenth longer. Start includes Python's imports, which are most of it.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 1 where the account is more than a tenth slower."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="rounds that count (7)")
    count = parser.parse_args(arguments).rounds
    if count < 1:
        parser.error(f"--rounds must be 1 or more, got {count}")
    rounds: dict[str, list[dict[str, float]]] = {subject: [] for subject in SUBJECTS}
    for number in range(count + 1):
        print(f"round {number} of {count}" if number else "first round, not counted", file=sys.stderr, flush=True)
        for subject, program in SUBJECTS.items():
            figures = measure(program)
            if number:
                rounds[subject].append(figures)
    print(table(rounds))
    DOCUMENT.write_text(document(rounds, count), encoding="utf-8")
    return 1 if is_too_slow(rounds) else 0


if __name__ == "__main__":
    sys.exit(main())
