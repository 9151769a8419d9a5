"""Load template.yaml, as it is written and as AWS gets it."""

import copy
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "template.yaml"
SAM_FUNCTION = "AWS::Serverless::Function"
SAM_LAYER = "AWS::Serverless::LayerVersion"


class _NoManagedPolicies:
    """The translator asks for managed policies by name; the template names none."""

    def load(self) -> dict[str, str]:
        return {}


def load() -> dict[str, Any]:
    template: dict[str, Any] = yaml_parse(TEMPLATE.read_text(encoding="utf-8"))
    return template


def translate(template: Mapping[str, Any]) -> dict[str, Any]:
    """What CloudFormation makes of it, without uploading any code."""
    source = copy.deepcopy(dict(template))
    for name, resource in source["Resources"].items():
        field = {SAM_FUNCTION: "CodeUri", SAM_LAYER: "ContentUri"}.get(resource["Type"])
        if field:
            resource["Properties"][field] = f"s3://bucket/{name}"
    os.environ.setdefault("AWS_DEFAULT_REGION", "eu-west-1")  # noqa: TID251 - for the translator
    result: dict[str, Any] = transform(source, {}, _NoManagedPolicies())
    return result


@dataclass(frozen=True)
class Statement:
    """One statement of one role."""

    role: str
    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]


class Stack:
    """Both forms of one template, with the questions that the rules ask."""

    def __init__(self, template: Mapping[str, Any]) -> None:
        self.source = template
        self.parameters: Mapping[str, Any] = template["Parameters"]
        self.resources: Mapping[str, Any] = translate(template)["Resources"]

    def of_type(self, kind: str) -> dict[str, Mapping[str, Any]]:
        """Properties by logical id, of the translated resources of a type."""
        return {
            name: resource.get("Properties", {})
            for name, resource in self.resources.items()
            if resource["Type"] == kind
        }

    def written_functions(self) -> dict[str, Mapping[str, Any]]:
        """Properties of the functions as template.yaml has them."""
        return {
            name: resource["Properties"]
            for name, resource in self.source["Resources"].items()
            if resource["Type"] == SAM_FUNCTION
        }

    def variables(self, function: str) -> Mapping[str, Any]:
        properties = self.of_type("AWS::Lambda::Function")[function]
        found: Mapping[str, Any] = properties.get("Environment", {}).get("Variables", {})
        return found

    def default(self, value: Any) -> Any:
        """A plain value; a reference to a parameter becomes its default."""
        if isinstance(value, Mapping) and "Ref" in value and value["Ref"] in self.parameters:
            return self.parameters[value["Ref"]]["Default"]
        if isinstance(value, Mapping) and "Fn::If" in value:
            return self.default(value["Fn::If"][1])
        return value

    def statements(self) -> Iterator[Statement]:
        """What the roles allow, both arms of each condition."""
        for role, properties in self.of_type("AWS::IAM::Role").items():
            for policy in properties.get("Policies", []):
                for statement in policy["PolicyDocument"]["Statement"]:
                    arms = statement["Fn::If"][1:] if "Fn::If" in statement else [statement]
                    for arm in arms:
                        if "Effect" in arm:
                            yield Statement(
                                role=role,
                                effect=arm["Effect"],
                                actions=_strings(arm["Action"]),
                                resources=_strings(arm["Resource"]),
                            )


def _strings(value: Any) -> tuple[str, ...]:
    """Of a condition, both arms."""
    if isinstance(value, Mapping) and "Fn::If" in value:
        return tuple(text for arm in value["Fn::If"][1:] for text in _strings(arm))
    if isinstance(value, list):
        return tuple(text for item in value for text in _strings(item))
    return (_text(value),)


def _text(value: Any) -> str:
    """An ARN as one string: `Thing.Arn` where it is looked up, else the pattern."""
    if isinstance(value, Mapping):
        if "Fn::GetAtt" in value:
            return ".".join(value["Fn::GetAtt"])
        if "Fn::Sub" in value:
            return str(value["Fn::Sub"])
        return str(value.get("Ref", value))
    return str(value)
