"""What those may do who have no credential, or a wrong one."""

import io
import json

from azure.core.exceptions import ClientAuthenticationError

from checks import digest_of, refused, same


async def anonymous_lists(suite) -> None:
    digest, _ = await suite.push("public", "v1")
    repository = suite.repository("public")
    anonymous = suite.anonymous
    names = [name for page in await anonymous.pages("list_repository_names") for name in page]
    same(names.count(repository), 1, "repository among all")
    pages = await anonymous.pages("list_tag_properties", repository)
    same([(tag.name, tag.digest) for page in pages for tag in page], [("v1", digest)], "tags")
    pages = await anonymous.pages("list_manifest_properties", repository)
    same([item.digest for page in pages for item in page], [digest], "manifests")


async def anonymous_reads(suite) -> None:
    digest, manifest = await suite.push("public", "v1")
    repository = suite.repository("public")
    anonymous = suite.anonymous
    same((await anonymous.get_repository_properties(repository)).tag_count, 1, "tags")
    same((await anonymous.get_tag_properties(repository, "v1")).digest, digest, "digest")
    same((await anonymous.get_manifest_properties(repository, "v1")).tags, ["v1"], "tags")
    found = await anonymous.get_manifest(repository, "v1")
    same((found.digest, found.manifest), (digest, json.loads(manifest)), "manifest")
    pieces = await anonymous.download(repository, digest_of(b"layer"))
    same(b"".join(pieces), b"layer", "layer")


async def anonymous_writes(suite) -> None:
    digest, manifest = await suite.push("public", "v1")
    repository = suite.repository("public")
    anonymous = suite.anonymous
    for name, given, flags in (
        ("delete_tag", ["v1"], {}),
        ("delete_manifest", [digest], {}),
        ("delete_blob", [digest_of(b"layer")], {}),
        ("delete_repository", [], {}),
        ("update_tag_properties", ["v1"], {"can_delete": False}),
        ("update_manifest_properties", [digest], {"can_delete": False}),
        ("update_repository_properties", [], {"can_delete": False}),
        ("upload_blob", [io.BytesIO(b"from nobody")], {}),
        ("set_manifest", [io.BytesIO(manifest)], {"tag": "v2"}),
    ):
        call = getattr(anonymous, name)(repository, *given, **flags)
        await refused(call, ClientAuthenticationError, 401)
    found = await suite.registry.get_repository_properties(repository)
    same((found.can_delete, found.tag_count), (True, 1), "repository")
    found = await suite.registry.get_tag_properties(repository, "v1")
    same((found.can_delete, found.digest), (True, digest), "tag")


async def wrong_token(suite) -> None:
    repository = suite.repository("public")
    for call in (
        suite.impostor.get_repository_properties(repository),
        suite.impostor.get_manifest(repository, "v1"),
        suite.impostor.upload_blob(repository, io.BytesIO(b"from an impostor")),
    ):
        await refused(call, ClientAuthenticationError, 401)
