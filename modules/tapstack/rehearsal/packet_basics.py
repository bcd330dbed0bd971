"""Tapstack's own stand-in for the template that AWS Marketplace delivers Packet Basics with.

It has the parameters, outputs and names of the real one, as far as they are public, and none of its content: what
it starts is an empty instance.
"""

from __future__ import annotations

import json
import uuid
from importlib import resources
from typing import Any, Final

from strictmoto.identity import role_clients
from strictmoto.identity.principals import found_role
from tapstack.domain.regions import partition_of
from tapstack.domain.template_urls import MARKETPLACE_BUCKET

VENDOR_ACCOUNT: Final = "679593333241"
"""The account that publishes it: one of AWS Marketplace's, so no site's."""


def template_body() -> str:
    """The template, as text."""
    return resources.files(__package__).joinpath("packet_basics_template.yaml").read_text(encoding="utf-8")


def vendor_client(region: str) -> Any:
    """Return a client of S3 of the vendor's account, which alone may change what it publishes; an account must run."""
    partition = partition_of(region)
    publisher = f"arn:{partition.name if partition else 'aws'}:iam::{VENDOR_ACCOUNT}:role/publisher"
    found_role(publisher)
    return role_clients.client("s3", region, publisher, "publish")


def publish_template(s3_client: Any, bucket: str = MARKETPLACE_BUCKET) -> str:
    """Put the template into S3 as its vendor's account does, and return the https URL to give to CloudFormation.

    The bucket is another account's than any site's. So who has CloudFormation read the template needs s3:GetObject,
    although every principal may read it as far as the bucket is concerned.

    The URL has Marketplace's form; in another partition than aws, where Marketplace has no bucket, that of the
    client's Region. Only the rehearsal account resolves it to what was put there: never call this with a client of a
    real AWS account.

    Args:
        s3_client: a boto3 client of the rehearsal account, of a Region in the partition that the template is for.
        bucket: made when it is not there yet; every principal may read it, as that of the Marketplace.
    """
    region = s3_client.meta.region_name
    partition = partition_of(region)
    vendor = vendor_client(region)
    if bucket not in [found["Name"] for found in vendor.list_buckets()["Buckets"]]:
        # S3 refuses its own default Region as a constraint.
        home = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        vendor.create_bucket(Bucket=bucket, **home)
        objects = f"arn:{partition.name if partition else 'aws'}:s3:::{bucket}/*"
        read = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": objects}
        vendor.delete_public_access_block(Bucket=bucket)
        vendor.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [read]}))
    key = f"{uuid.uuid4()}/{uuid.uuid4().hex}.template"
    vendor.put_object(Bucket=bucket, Key=key, Body=template_body().encode(), ContentType="application/x-yaml")
    if partition is None or partition.name == "aws":
        return f"https://s3.amazonaws.com/{bucket}/{key}"
    return f"https://{bucket}.s3.{region}.{partition.dns_suffix}/{key}"
