"""Packages the service: the deployment template and the zip that every function runs.

    python -m infra.deploy.package --out build/ [--stage dev] [--sources-only]

Chalice writes the template from `app.py` and `.chalice/config.json`; everything in `infra/deploy/resources/*.yaml` is
merged into it. Three things differ from `chalice package --merge-template`: the runtime is Python 3.13 whatever
interpreter runs this, the wheels come from `infra.deploy.wheels`, and the API points at its functions by name.

The page for PracBill's front end (page_package.py) comes beside them, in page/.

`--sources-only` leaves the dependencies out, builds no page and asks no package index; the local stack and the checks
use it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import yaml
from botocore.session import Session
from chalice.awsclient import TypedAWSClient
from chalice.cli.factory import CLIFactory
from chalice.config import Config
from chalice.deploy.appgraph import ApplicationGraphBuilder
from chalice.deploy.appgraph import DependencyBuilder as GraphBuilder
from chalice.deploy.deployer import BuildStage, DeploymentPackager, InjectDefaults, PolicyGenerator, SwaggerBuilder
from chalice.deploy.packager import DependencyBuilder, LambdaDeploymentPackager
from chalice.deploy.swagger import CFNSwaggerGenerator
from chalice.package import (
    AppPackager,
    CompositePostProcessor,
    PackageOptions,
    ResourceBuilder,
    SAMCodeLocationPostProcessor,
    SAMTemplateGenerator,
    TemplateDeepMerger,
    TemplateMergePostProcessor,
    YAMLTemplateSerializer,
)
from chalice.policy import AppPolicyGenerator
from chalice.utils import UI, OSUtils

from infra.deploy.bytecode import NO_PYTHON, add_byte_code, find_python
from infra.deploy.page import PageFailed
from infra.deploy.page import build as build_page
from infra.deploy.page_package import write_page_package
from infra.deploy.throttles import method_settings
from infra.deploy.wheels import NoDependencies, WheelBuilder, check_imports

PROJECT = Path(__file__).resolve().parents[2]
RESOURCES = PROJECT / "infra" / "deploy" / "resources"
RUNTIME = "python3.13"
# Only used to spell service principals, which are the same in every region of the partition.
ANY_REGION = "us-east-1"

# Lambda takes 50 MB; far below that functions start quickly, and a package that grows by accident is noticed.
LARGEST_ZIP_BYTES = 20_000_000


class PackageTooLarge(Exception):
    """The zip is larger than LARGEST_ZIP_BYTES; the message says how large."""


class TemplateConflict(Exception):
    """Two files of infra/deploy/resources set the same thing; the message names it."""


class ServiceConfig(Config):
    """Chalice's configuration, with the runtime that is deployed instead of the one that packages."""

    @property
    def lambda_python_version(self) -> str:
        return RUNTIME


class NamedFunctionSwagger(CFNSwaggerGenerator):
    """Points routes at `api_handler` by its name.

    Chalice refers to the function itself. Then the API waits for the function, and the function cannot be told the
    API's address (PUBLIC_URL): CloudFormation refuses the circle.
    """

    def _uri(self, lambda_arn: str | None = None) -> dict[str, str]:
        function = (
            "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}"
            ":function:pracbill-mailchimp-${Stage}-api_handler"
        )
        return {
            "Fn::Sub": "arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path/2015-03-31"
            f"/functions/{function}/invocations"
        }


class ZipBuilder(LambdaDeploymentPackager):
    """Chalice's zip, built anew each time, without this machine's byte code (bytecode.py adds that of Lambda's).

    Chalice names its cached zips after the sources and the requirements, not after the kind of package, and a
    package made for the local stack would be found again for AWS.
    """

    def __init__(self, *, directory: Path, dependency_builder: NoDependencies | WheelBuilder) -> None:
        builder = cast(DependencyBuilder, dependency_builder)  # all that Chalice calls is build_site_packages
        super().__init__(osutils=OSUtils(), dependency_builder=builder, ui=SilentUI())
        self._directory = directory

    def deployment_package_filename(self, project_dir: str, python_version: str) -> str:
        return str(self._directory / "package.zip")

    def _iter_app_filenames(self, project_dir: str) -> Iterator[tuple[str, str]]:
        for path, name in super()._iter_app_filenames(project_dir):
            if "__pycache__" not in name:
                yield path, name


class SilentUI(UI):
    """Chalice's console, kept quiet: who calls us says what is done."""

    def write(self, msg: str) -> None:
        pass


# Written in C where they are built in, and then ten times faster.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class PlainYaml(YAMLTemplateSerializer):
    """YAML without aliases, which CloudFormation does not read."""

    def serialize_template(self, contents: dict[str, Any]) -> str:
        class Dumper(_Dumper):  # type: ignore[misc] # which of the two is found out here
            def ignore_aliases(self, data: Any) -> bool:
                return True

        return yaml.dump(contents, Dumper=Dumper, allow_unicode=True)

    def load_template(self, file_contents: str, filename: str = "") -> dict[str, Any]:
        class Loader(_Loader):  # type: ignore[misc] # the same
            """Reads CloudFormation's own tags as Chalice does."""

        Loader.add_multi_constructor("!", self._custom_sam_instrinsics)
        try:
            template: dict[str, Any] = yaml.load(file_contents, Loader=Loader)  # noqa: S506 - a safe loader
        except yaml.YAMLError as error:
            raise RuntimeError(f"{filename} is no valid YAML: {error}") from error
        return template


class ResourceMerger(TemplateMergePostProcessor):
    """Merges infra/deploy/resources/*.yaml, and the stage, into Chalice's template."""

    def __init__(self, *, stage: str) -> None:
        super().__init__(OSUtils(), TemplateDeepMerger(), PlainYaml(), merge_template=str(RESOURCES))
        self._stage = stage

    def process(self, template: dict[str, Any], config: Config, outdir: str, chalice_stage_name: str) -> None:
        """Merge, then limit the routes that came together."""
        super().process(template, config, outdir, chalice_stage_name)
        api = template["Resources"]["RestAPI"]["Properties"]
        api["MethodSettings"] += method_settings(api["DefinitionBody"]["paths"])

    def _load_template_to_merge(self) -> dict[str, Any]:
        template = load_resources()
        template["Parameters"]["Stage"]["Default"] = self._stage
        return template


def load_resources(directory: Path = RESOURCES) -> dict[str, Any]:
    """All parts of the template that are ours, as one. Raises TemplateConflict when two parts disagree."""
    template: dict[str, Any] = {}
    for path in sorted(directory.glob("*.yaml")):
        part = PlainYaml().load_template(path.read_text(encoding="utf-8"), path.name)
        template = _join(template, part, where=path.name)
    return template


def _join(left: Any, right: Any, *, where: str) -> Any:
    if isinstance(left, dict) and isinstance(right, dict):
        return left | {
            key: _join(left[key], value, where=f"{where}: {key}") if key in left else value
            for key, value in right.items()
        }
    raise TemplateConflict(f"{where} is set by another file too")


def build_package(*, out: Path, stage: str = "dev", sources_only: bool = False) -> Path:
    """Write `sam.yaml` and `deployment.zip` to `out` and return the template's path."""
    out.mkdir(parents=True, exist_ok=True)
    dependencies = NoDependencies() if sources_only else WheelBuilder(cache=out / "wheels")
    config = _load_config(stage)
    zip_builder = ZipBuilder(directory=out, dependency_builder=dependencies)
    Path(zip_builder.deployment_package_filename(str(PROJECT), RUNTIME)).unlink(missing_ok=True)
    try:
        _create_packager(config, zip_builder, stage=stage).package_app(config, str(out), stage)
    finally:
        (out / "package.zip").unlink(missing_ok=True)  # Chalice copies it to deployment.zip
    if not sources_only:
        check_imports(out / "deployment.zip")
        python = find_python()
        if python is None:
            print(NO_PYTHON, file=sys.stderr)
        else:
            add_byte_code(out / "deployment.zip", python=python)
        check_size(out / "deployment.zip")
    return out / "sam.yaml"


def check_size(archive: Path, *, most: int = LARGEST_ZIP_BYTES) -> None:
    """Raise PackageTooLarge for a zip of more than `most` bytes."""
    size = archive.stat().st_size
    if size > most:
        raise PackageTooLarge(f"{archive} has {size / 1e6:.1f} MB, more than {most / 1e6:.1f}")


def _load_config(stage: str) -> ServiceConfig:
    factory = CLIFactory(str(PROJECT), environ=dict(os.environ))
    return ServiceConfig(
        chalice_stage=stage,
        user_provided_params={"chalice_app": factory.load_chalice_app, "project_dir": str(PROJECT)},
        config_from_disk=factory.load_project_config(),
    )


def _create_packager(config: ServiceConfig, zip_builder: ZipBuilder, *, stage: str) -> AppPackager:
    osutils = OSUtils()
    session = Session()
    session.set_config_variable("region", ANY_REGION)
    session.set_credentials("none", "none")  # nothing is asked of AWS; else they are looked for, over the network too
    build_stage = BuildStage(
        steps=[
            InjectDefaults(),
            DeploymentPackager(packager=zip_builder),
            PolicyGenerator(policy_gen=AppPolicyGenerator(osutils=osutils), osutils=osutils),
            SwaggerBuilder(swagger_generator=NamedFunctionSwagger()),
        ]
    )
    return AppPackager(
        SAMTemplateGenerator(config, PackageOptions(TypedAWSClient(session))),
        ResourceBuilder(ApplicationGraphBuilder(), GraphBuilder(), build_stage),
        CompositePostProcessor([SAMCodeLocationPostProcessor(osutils), ResourceMerger(stage=stage)]),
        PlainYaml(),
        osutils,
    )


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.deploy.package", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for sam.yaml and deployment.zip")
    parser.add_argument("--stage", default="dev", help="the stage that the template names by default")
    parser.add_argument("--sources-only", action="store_true", help="leave the dependencies out")
    options = parser.parse_args(arguments)
    if not options.sources_only:
        try:
            build_page()  # the service serves it, so no package is without it
            page_files = write_page_package(options.out / "page")
        except PageFailed as error:
            print(error, file=sys.stderr)
            return 1
        print("For PracBill's front end:", *page_files)
    template = build_package(out=options.out, stage=options.stage, sources_only=options.sources_only)
    size = (options.out / "deployment.zip").stat().st_size
    print(f"{template} and {options.out / 'deployment.zip'} ({size / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
