"""What the CloudFormation types that moto lacks have in common."""

from __future__ import annotations


class OwnType:
    """A mix-in before moto's CloudFormationModel, of which a type must be a direct subclass to be found.

    Attributes:
        id: what Ref and GetAtt say of it.
    """

    id: str

    @staticmethod
    def cloudformation_name_type() -> str:
        """It has no name of its own."""
        return ""

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        """Whether GetAtt knows an attribute."""
        return attr == "Id"

    def get_cfn_attribute(self, attribute_name: str) -> str:
        """The answer of GetAtt."""
        return self.id

    @property
    def physical_resource_id(self) -> str:
        """What Ref says."""
        return self.id
