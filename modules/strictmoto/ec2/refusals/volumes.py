"""Volumes that can be had, attached and detached.

moto makes HTTP 500 of DetachVolume without an instance, and attaches a volume to whatever is named.

Sources: Amazon EC2 API Reference, AttachVolume, CreateVolume, DetachVolume, ModifyVolume and "Error codes for the
Amazon EC2 API" (IncorrectState, InvalidAttachment.NotFound, InvalidVolume.ZoneMismatch, InvalidZone.NotFound,
OperationNotPermitted, UnknownVolumeType, VolumeInUse); Amazon EBS User Guide, "Amazon EBS volume types" (sizes).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Final

from moto.ec2.exceptions import EC2ClientError, InvalidSnapshotIdError
from moto.ec2.models import EC2Backend as _Backend
from moto.ec2.responses.elastic_block_store import ElasticBlockStore as _Response

from strictmoto.ec2.refusals.states import has_ended, state_of

# moto has types, but none for what is replaced at run time.
Response: Any = _Response
EC2Backend: Any = _Backend

_SIZES: Final[Mapping[str, range]] = {
    "gp2": range(1, 16_385),
    "gp3": range(1, 65_537),
    "io1": range(4, 16_385),
    "io2": range(4, 65_537),
    "sc1": range(125, 16_385),
    "st1": range(125, 16_385),
    "standard": range(1, 1_025),
}
"""In GiB, by type."""
_DEFAULT_TYPE: Final = "gp2"


def install() -> None:
    """Refuse others."""
    for name in ("describe_snapshots", "get_snapshot", "delete_snapshot"):
        setattr(EC2Backend, name, _naming_absent(getattr(EC2Backend, name)))
    attach, detach = Response.attach_volume, Response.detach_volume
    create, modify = Response.create_volume, Response.modify_volume

    @functools.wraps(attach)
    def attach_volume(self: Any) -> Any:
        volume = self.ec2_backend.get_volume(self._get_param("VolumeId"))
        instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
        _check_attachable(volume, instance, self._get_param("Device"))
        return attach(self)

    @functools.wraps(detach)
    def detach_volume(self: Any) -> Any:
        volume = self.ec2_backend.get_volume(self._get_param("VolumeId"))
        instance_id, device = self._get_param("InstanceId"), self._get_param("Device")
        if instance_id:
            self.ec2_backend.get_instance(instance_id)
        _check_detachable(volume, instance_id, device)
        self.params["InstanceId"] = volume.attachment.instance.id
        return detach(self)

    @functools.wraps(create)
    def create_volume(self: Any) -> Any:
        zone = self._get_param("AvailabilityZone")
        if zone and zone not in [one.name for one in self.ec2_backend.describe_availability_zones()]:
            raise EC2ClientError("InvalidZone.NotFound", f"The zone '{zone}' does not exist.")
        size, snapshot = self._get_param("Size"), self._get_param("SnapshotId")
        least = self.ec2_backend.get_snapshot(snapshot).volume.size if snapshot else 0
        _check_size(self._get_param("VolumeType") or _DEFAULT_TYPE, size, least)
        return create(self)

    @functools.wraps(modify)
    def modify_volume(self: Any) -> Any:
        volume, size = self.ec2_backend.get_volume(self._get_param("VolumeId")), self._get_param("Size")
        if size is not None and size < volume.size:
            raise _invalid(f"New size cannot be smaller than existing size: {size} < {volume.size}")
        kind = self._get_param("VolumeType")
        if kind or size is not None:
            _check_size(kind or volume.volume_type, volume.size if size is None else size)
        return modify(self)

    Response.attach_volume = attach_volume
    Response.detach_volume = detach_volume
    Response.create_volume = create_volume
    Response.modify_volume = modify_volume


def _check_attachable(volume: Any, instance: Any, device: str) -> None:
    if volume.attachment and not volume.multi_attach_enabled:
        raise EC2ClientError("VolumeInUse", f"{volume.id} is already attached to an instance")
    if has_ended(instance):
        raise EC2ClientError("IncorrectState", f"Instance '{instance.id}' is not 'running'.")
    if volume.availability_zone != instance.availability_zone:
        raise EC2ClientError(
            "InvalidVolume.ZoneMismatch",
            f"The volume '{volume.id}' is not in the same availability zone as instance '{instance.id}'",
        )
    if device in instance.block_device_mapping:
        raise _invalid(
            f"Invalid value '{device}' for unixDevice. Attachment point {device} is already in use",
        )


def _check_detachable(volume: Any, instance_id: str | None, device: str | None) -> None:
    attachment = volume.attachment
    if not attachment:
        raise EC2ClientError("IncorrectState", f"Volume '{volume.id}' is in the 'available' state.")
    instance = attachment.instance
    if instance_id not in (None, instance.id) or device not in (None, attachment.device):
        raise EC2ClientError(
            "InvalidAttachment.NotFound",
            f"The volume '{volume.id}' is not attached to instance '{instance_id or instance.id}' "
            f"as device '{device or attachment.device}'.",
        )
    if attachment.device == instance.root_device_name and state_of(instance) != "stopped":
        raise EC2ClientError(
            "OperationNotPermitted", f"Unable to detach root volume '{volume.id}' from instance '{instance.id}'"
        )


def _check_size(kind: str, size: int | None, least: int = 0) -> None:
    sizes = _SIZES.get(kind)
    if sizes is None:
        raise EC2ClientError("UnknownVolumeType", f"Unsupported volume type '{kind}' for volume creation.")
    # Without a size it is that of the snapshot; without both moto refuses.
    if size is None:
        return
    if size < sizes.start:
        raise _invalid(f"Volume of {size}GiB is too small for volume type {kind}; minimum is {sizes.start}GiB.")
    if size >= sizes.stop:
        raise _invalid(f"Volume of {size}GiB is too large for volume type {kind}; maximum is {sizes.stop - 1}GiB.")
    if size < least:
        raise _invalid(f"The volume size {size}GiB is smaller than that of the snapshot, {least}GiB")


def _invalid(message: str) -> Any:
    return EC2ClientError("InvalidParameterValue", message)


def _naming_absent(find: Any) -> Any:
    """Name the snapshot that is not there: moto's refusal has no message."""

    @functools.wraps(find)
    def finding(self: Any, *args: Any, **named: Any) -> Any:
        try:
            return find(self, *args, **named)
        except InvalidSnapshotIdError as absent:
            asked = next(iter((*args, *named.values())))
            wanted = asked if isinstance(asked, list) else [asked]
            unknown = next((one for one in wanted if one not in self.snapshots), "")
            raise EC2ClientError(absent.code, f"The snapshot '{unknown}' does not exist.") from None

    return finding
