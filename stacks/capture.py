"""The capture of one site: appliance, security groups, targets, filters, sessions."""

from __future__ import annotations

from pathlib import Path

from stacks.site import SiteStack, add_output
from tapstack import (
    ApplianceGate,
    CaptureLoadBalancer,
    CaptureSecurityGroup,
    Destination,
    IMirrorFilter,
    IMirrorTarget,
    MirrorFilter,
    MirrorSessions,
    MirrorTarget,
    PacketBasics,
    Peer,
    QuarantineSecurityGroup,
)
from tapstack.bindings import Construct
from tapstack.settings.model import PACKET_BASICS, Deployment
from tapstack.settings.model import LoadBalancer as LoadBalancerSettings


class CaptureStack(SiteStack):
    """One site of a deployment file, with a state of its own."""

    def __init__(self, scope: Construct, name: str, *, deployment: Deployment, base: Path, outdir: Path) -> None:
        """Build the stack; `base` is the deployment file's directory, `outdir` that of the synthesis."""
        super().__init__(scope, name, site=name, deployment=deployment, base=base, outdir=outdir)
        site = deployment.sites[name]
        self._site = site
        self._name = name
        self._deployment = deployment
        self._stack_name = deployment.stack_name(name)
        self.packet_basics = self._add_packet_basics()
        if site.quarantine_security_group:
            quarantine = QuarantineSecurityGroup(
                self, "quarantine", vpc_id=site.vpc_id, name=deployment.quarantine_group_name(name)
            )
            add_output(self, "quarantine_security_group_id", quarantine.security_group_id, "Isolates an instance.")
        self.targets = {key: self._add_target(key) for key in site.targets}
        self.filters = {key: self._add_filter(key) for key in site.filters}
        self.sessions = {key: self._add_sessions(key) for key in site.sessions}
        self._add_outputs()

    def _add_packet_basics(self) -> PacketBasics | None:
        settings = self._site.packet_basics
        if settings is None:
            if not self._site.remove_packet_basics:
                ApplianceGate(
                    self,
                    "packet-basics",
                    tags=self.own_tags,
                    hint=f"Put packet_basics back into site {self._name}; or set remove_packet_basics: true there, if "
                    "the appliance is to be deleted.",
                )
            return None
        appliance = PacketBasics(
            self,
            "packet-basics",
            vpc_id=self._site.vpc_id,
            **settings.model_dump(exclude={"stack_name"}),
            stack_name=self._stack_name,
            own_tags=self.own_tags,
        )
        group = self._site.capture_security_group
        if group.enabled:
            capture = CaptureSecurityGroup(
                self,
                "capture",
                vpc_id=self._site.vpc_id,
                mirrored_from=self._peers(group.mirrored_from),
                accept_open_mirrored_from=group.accept_open_mirrored_from,
                remote_access_cidrs=[settings.remote_access_cidr],
                accept_open_remote_access=settings.accept_open_remote_access,
                network_interface_id=appliance.network_interface_id,
            )
            appliance.set_needs(capture.needs)
        return appliance

    def _add_target(self, key: str) -> MirrorTarget:
        settings = self._site.targets[key]
        destination: Destination
        if settings.load_balancer is not None:
            destination = self._add_load_balancer(key, settings.load_balancer).destination
        elif settings.network_interface_id is not None:
            destination = Destination.network_interface(
                settings.network_interface_id,
                instance_type=settings.instance_type,
                accept_instance_type=settings.accept_instance_type,
            )
        elif settings.network_load_balancer_arn is not None:
            destination = Destination.network_load_balancer(settings.network_load_balancer_arn)
        else:
            destination = Destination.gateway_load_balancer_endpoint(str(settings.gateway_load_balancer_endpoint_id))
        return MirrorTarget(
            self,
            f"target-{key}",
            destination=destination,
            share_with=settings.share_with,
            allow_external_principals=settings.allow_external_principals,
            description=settings.description or self._description(key),
            logical_id=key,
            tags={"Name": key},
        )

    def _add_load_balancer(self, key: str, settings: LoadBalancerSettings) -> CaptureLoadBalancer:
        instances = list(settings.instance_ids)
        if not settings.appliances and self.packet_basics is not None:
            instances = [self.packet_basics.instance_id]
        return CaptureLoadBalancer(
            self,
            f"load-balancer-{key}",
            vpc_id=self._site.vpc_id,
            subnet_ids=settings.subnet_ids,
            instance_ids=instances,
            ip_addresses=settings.ip_addresses,
            packet_basics=self.packet_basics,
            mirrored_from=self._peers(settings.mirrored_from),
            health_check_port=settings.health_check_port,
            deletion_protection=settings.deletion_protection,
            accept_open_mirrored_from=settings.accept_open_mirrored_from,
            logical_id=key,
            tags={"Name": key},
        )

    def _add_filter(self, key: str) -> MirrorFilter:
        return MirrorFilter.from_preset(
            self,
            f"filter-{key}",
            self._site.filters[key].to_domain(),
            description=self._description(key),
            logical_id=key,
            tags={"Name": key},
        )

    def _add_sessions(self, key: str) -> MirrorSessions:
        settings = self._site.sessions[key]
        return MirrorSessions(
            self,
            f"sessions-{key}",
            sources=[source.to_domain() for source in settings.sources],
            target=self._target(settings.target),
            filter=self._filter(settings.filter),
            session_number=settings.session_number,
            first_session_number=settings.first_session_number,
            packet_length=settings.packet_length,
            virtual_network_id=settings.virtual_network_id,
            exclude=settings.exclude,
            description=self._description(key),
            logical_id=key,
            tags={"Name": f"{key} ${{each.key}}"},
        )

    def _description(self, key: str) -> str:
        return self._deployment.description(self._name, key)

    def _target(self, name: str) -> IMirrorTarget:
        if name == PACKET_BASICS and self.packet_basics is not None:
            return self.packet_basics.target
        return self.targets[name] if name in self.targets else MirrorTarget.from_id(name)

    def _filter(self, name: str) -> IMirrorFilter:
        if name == PACKET_BASICS and self.packet_basics is not None:
            return self.packet_basics.filter
        return self.filters[name] if name in self.filters else MirrorFilter.from_id(name)

    def _peers(self, texts: list[str] | None) -> list[Peer]:
        return [Peer.parse(text) for text in texts or [self._site.vpc_id]]

    def _add_outputs(self) -> None:
        """Add the outputs that users need next."""
        targets = {key: target.mirror_target_id for key, target in self.targets.items()}
        filters = {key: found.mirror_filter_id for key, found in self.filters.items()}
        appliance = self.packet_basics
        if appliance is not None:
            add_output(self, "portal_url", appliance.user_access_url, "The appliance's portal; user: setup.")
            add_output(
                self,
                "portal_password",
                appliance.credentials,
                "First password of the user setup; change it after signing in.",
                sensitive=True,
            )
            if any(s.target == PACKET_BASICS for s in self._site.sessions.values()):
                targets[PACKET_BASICS] = appliance.target.mirror_target_id
            if any(s.filter == PACKET_BASICS for s in self._site.sessions.values()):
                filters[PACKET_BASICS] = appliance.filter.mirror_filter_id
        if targets:
            add_output(self, "mirror_target_ids", targets, "Mirror targets by name.")
        if filters:
            add_output(self, "mirror_filter_ids", filters, "Mirror filters by name.")
        if self.sessions:
            ids = {key: sessions.session_ids for key, sessions in self.sessions.items()}
            add_output(self, "mirror_session_ids", ids, "Mirror sessions by group and source.")
