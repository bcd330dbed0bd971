"""What the XDR of a site does in a rehearsal, from its first alert to what it read of the incident."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from strictmoto.account import Account
from tapstack.domain.regions import AccountRegion
from tapstack.domain.telemetry import UNMATCHED
from tapstack.domain.webhook_secrets import webhook_secret_name
from tapstack.domain.webhook_signatures import new_secret
from tapstack.rehearsal.errors import RehearsalFailedError
from tapstack.rehearsal.report.loop import Loop
from tapstack.rehearsal.xdr import webhook
from tapstack.rehearsal.xdr.reader import SECONDS, find_reader
from tapstack.settings.model import Deployment

_POLL_SECONDS: Final = 0.3
_NOWHERE: Final = "i-00000000000000000"
"""No instance has this id."""


class Xdr:
    """The XDR of a site: a webhook of its response, and a reader of its landing, as far as the site has them.

    Args:
        account: where the site is deployed.
        deployment: fitted to the account.
        site: its name.
        place: account and Region of the site.
        role_arn: of the role that deploys the site; None for the caller's own.
        say: receives a line for what it does.
    """

    def __init__(
        self,
        account: Account,
        deployment: Deployment,
        site: str,
        place: AccountRegion,
        role_arn: str | None,
        say: Callable[[str], None],
    ) -> None:
        """Find both; no call is made."""
        self._account, self._place, self._role_arn, self._say = account, place, role_arn, say
        self._project, self._name, self._site = deployment.project, site, deployment.sites[site]
        telemetry = self._site.xdr
        self.reader = None if telemetry is None else find_reader(account, telemetry, place, say)
        self.webhook: webhook.Webhook | None = None
        self._secret, self._signed_by = new_secret(), ""

    def begin(self) -> None:
        """Have what is the XDR's own before anything is deployed: the principal that its role trusts."""
        if self.reader is not None:
            self.reader.found()
        elif self._site.xdr is not None:
            self._say("No reader of incidents trusts an account or a role: nothing is read from the landing here.")

    def connect(self, outputs: Mapping[str, Any], instance_id: str, tags: Mapping[str, str]) -> None:
        """Connect the reader, and give the webhook its secret as `tapstack xdr rotate-secret` does.

        Args:
            outputs: of the stack of the telemetry; none where the site has no telemetry.
            instance_id: the instance that the alert is to be about.
            tags: of the instance.
        """
        if self.reader is not None:
            self.reader.connect(outputs)
        response = self._site.response
        if response is None or not response.alerts.sources:
            return
        self.webhook = webhook.find_webhook(response, instance_id, tags, self._place)
        if self.webhook is None:
            self._say("No webhook is for a lead of Hunters, for which a rule captures: none is sent.")
            return
        name = webhook_secret_name(self._project, self._name, self.webhook.source)
        self._client("secretsmanager").put_secret_value(SecretId=name, SecretString=self._secret)
        self._say(f"The secret {name} gets its first value, as tapstack xdr rotate-secret sets one.")

    def report(self, endpoint: str, instance_id: str) -> str:
        """Send an alert about an instance; return its id, as incidents have it.

        Raises:
            RehearsalFailedError: it was not kept, or not mapped.
        """
        return self._send(endpoint, webhook.about(instance_id, self._place.account_id))

    def report_none(self, endpoint: str) -> None:
        """Send an alert about an instance that does not exist: it is kept, and leads to nothing.

        Raises:
            RehearsalFailedError: it was not kept.
        """
        self._say(f"The same about {_NOWHERE}, which does not exist:")
        self._send(endpoint, webhook.about(_NOWHERE, self._place.account_id))

    def log_flows(self, interfaces: Sequence[tuple[str, str]]) -> None:
        """Have flow logs of the site deliver something about interfaces, given the id and address of each."""
        if self.reader is not None:
            self.reader.log_flows(interfaces)

    def read(self, incident: Mapping[str, Any], interfaces: Sequence[str]) -> Loop | None:
        """Read all of an incident from the landing, and flow logs beside it; None where the site has no such reader.

        Args:
            incident: as the API shows it at the end.
            interfaces: those of its instance.

        Raises:
            RehearsalFailedError: something is missing, or the role is allowed more.
        """
        reader = self.reader
        if reader is None:
            return None
        events = reader.read(incident)
        flows = reader.read_flows(interfaces)
        reader.check_notified()
        refused = reader.check_refused(self._unmatched())
        sent = self.webhook
        return Loop(
            reader=reader.name,
            role=reader.role,
            account=reader.account_id,
            bucket=reader.bucket,
            events=events,
            flows=flows,
            refused=refused,
            path=sent.path if sent else None,
            signed_by=self._signed_by,
            rule=sent.rule if sent else "",
        )

    def disconnect(self) -> None:
        """Remove what the XDR made itself, which a destroy would leave."""
        if self.reader is not None:
            self.reader.disconnect()

    def _send(self, endpoint: str, entities: list[dict[str, str]]) -> str:
        assert self.webhook is not None
        document = webhook.lead(self.webhook.risk, entities)
        self._say(f"POST {self.webhook.path} {json.dumps(document)}")
        self._signed_by, answer = webhook.send(endpoint, self.webhook.path, document, self._secret)
        self._say(f"signed by {self._signed_by}; 202: {json.dumps(answer)}")
        if answer.get("kept") is not True or answer.get("mapped") is not True:
            raise RehearsalFailedError(f"POST {self.webhook.path}: expected kept and mapped, got {answer}")
        return f"{self.webhook.source}:{document['uuid']}"

    def _unmatched(self) -> str | None:
        """Return the key of the alert that led to no instance, once it is there; None where none was sent."""
        if self.webhook is None or self.reader is None:
            return None
        wanted, deadline = f"{UNMATCHED}{self.webhook.source}/", time.monotonic() + SECONDS
        while True:
            found = self._client("s3").list_objects_v2(Bucket=self.reader.bucket, Prefix=wanted).get("Contents", ())
            if found:
                return str(found[0]["Key"])
            if time.monotonic() > deadline:
                raise RehearsalFailedError(f"{wanted} of {self.reader.bucket} is empty: expected the second alert")
            time.sleep(_POLL_SECONDS)

    def _client(self, service: str) -> Any:
        return self._account.client(service, region=self._place.region, role_arn=self._role_arn)
