"""Every operation of azure-containerregistry, sync and aio, against acr-emulator."""

import asyncio
import datetime
import io
import json
import os
import pathlib
import random
import sys

from azure.containerregistry import (
    VERSION,
    ArtifactArchitecture,
    ArtifactOperatingSystem,
    ContainerRegistryClient,
)
from azure.containerregistry.aio import ContainerRegistryClient as AsyncContainerRegistryClient
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

import integrity
import lists
import rights
from checks import digest_of, refused, same
from clients import client
from journal import answered
from rows import Rows

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
CHUNK = 4 * 1024 * 1024  # what the SDK sends, and asks for, in one request


def recent(found) -> None:
    """Times in their order, of today, with a zone."""
    now = datetime.datetime.now(datetime.timezone.utc)
    before = now - datetime.timedelta(days=1)
    if not before < found.created_on <= found.last_updated_on < now + datetime.timedelta(minutes=1):
        raise AssertionError(f"created {found.created_on}, changed {found.last_updated_on}")


def image_size(manifest: bytes) -> int:
    document = json.loads(manifest)
    return sum(part["size"] for part in [document["config"], *document["layers"]])


class Suite:
    def __init__(self, kind: str, rows: Rows) -> None:
        self.kind = kind
        self.rows = rows
        endpoint = os.environ["ACR_ENDPOINT"]
        self.registry = client(kind, endpoint, os.environ["ACR_ENTRA_TOKEN"])
        self.anonymous = client(kind, endpoint, None)
        self.impostor = client(kind, endpoint, "somebody else's token")
        # Each client works in repositories of its own, so that none sees the other's.
        self.prefix = f"python/{kind}"

    def repository(self, name: str) -> str:
        return f"{self.prefix}/{name}"

    async def push(self, name: str, tag: str | None, layer: bytes = b"layer") -> tuple[str, bytes]:
        """An image with one layer; gives its digest and manifest."""
        repository = self.repository(name)
        config = json.dumps({"architecture": "amd64", "os": "linux"}).encode()
        for content in (config, layer):
            digest, size = await self.registry.upload_blob(repository, io.BytesIO(content))
            same((digest, size), (digest_of(content), len(content)), "blob")

        def descriptor(media_type: str, content: bytes) -> dict:
            return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}

        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": descriptor("application/vnd.oci.image.config.v1+json", config),
                "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", layer)],
            }
        ).encode()
        digest = await self.registry.set_manifest(repository, io.BytesIO(manifest), tag=tag)
        same(digest, digest_of(manifest), "digest")
        return digest, manifest

    # Properties

    async def repository_properties(self) -> None:
        await self.push("properties", "v1")
        repository = self.repository("properties")
        found = await self.registry.get_repository_properties(repository)
        same((found.name, found.manifest_count, found.tag_count), (repository, 1, 1), "counts")
        flags = (found.can_delete, found.can_write, found.can_list, found.can_read)
        same(flags, (True, True, True, True), "flags")
        recent(found)
        found = await self.registry.update_repository_properties(repository, can_write=False)
        same(found.can_write, False, "flag")
        found.can_write = True
        found = await self.registry.update_repository_properties(repository, found)
        same(found.can_write, True, "flag")

    async def tag_properties(self) -> None:
        digest, _ = await self.push("properties", "v1")
        repository = self.repository("properties")
        found = await self.registry.get_tag_properties(repository, "v1")
        same((found.name, found.digest, found.can_delete), ("v1", digest, True), "tag")
        recent(found)
        found = await self.registry.update_tag_properties(repository, "v1", can_delete=False)
        same((found.can_delete, found.can_write), (False, True), "flags")
        await refused(self.registry.delete_tag(repository, "v1"), HttpResponseError, 405)
        found.can_delete = True
        found = await self.registry.update_tag_properties(repository, "v1", found)
        same(found.can_delete, True, "flag")
        absent = self.registry.get_tag_properties(repository, "absent")
        await refused(absent, ResourceNotFoundError, 404)

    async def manifest_properties(self) -> None:
        digest, manifest = await self.push("properties", "v2", b"another layer")
        repository = self.repository("properties")
        for reference in (digest, "v2"):
            found = await self.registry.get_manifest_properties(repository, reference)
            same((found.digest, found.tags), (digest, ["v2"]), "manifest")
            same(found.architecture, ArtifactArchitecture.AMD64, "architecture")
            same(found.operating_system, ArtifactOperatingSystem.LINUX, "operating system")
            same(found.size_in_bytes, image_size(manifest), "size")
            recent(found)
        found = await self.registry.update_manifest_properties(repository, "v2", can_read=False)
        same((found.can_read, found.can_list), (False, True), "flags")
        found.can_read = True
        found = await self.registry.update_manifest_properties(repository, digest, found)
        same(found.can_read, True, "flag")

    async def full_name(self) -> None:
        """What should be `@sha256:` and the hash."""
        digest, _ = await self.push("properties", "v2", b"another layer")
        repository = self.repository("properties")
        found = await self.registry.get_manifest_properties(repository, "v2")
        host = os.environ["ACR_ENDPOINT"].removeprefix("https://")
        algorithm, value = digest.split(":")
        same(found.fully_qualified_reference, f"{host}/{repository}@{value}", "full name")

    async def locked_tag(self) -> None:
        digest, _ = await self.push("locked", "kept")
        repository = self.repository("locked")
        await self.registry.update_tag_properties(repository, "kept", can_write=False)
        await refused(self.push("locked", "kept", b"another"), HttpResponseError, 405)
        same((await self.registry.get_manifest(repository, "kept")).digest, digest, "digest")
        await self.registry.update_tag_properties(repository, "kept", can_write=True)
        digest, _ = await self.push("locked", "kept", b"another")
        same((await self.registry.get_manifest(repository, "kept")).digest, digest, "digest")

    # Deletions

    async def delete_tag(self) -> None:
        digest, _ = await self.push("deleted", "gone")
        repository = self.repository("deleted")
        await self.registry.delete_tag(repository, "gone")
        gone = self.registry.get_tag_properties(repository, "gone")
        await refused(gone, ResourceNotFoundError, 404)
        same((await self.registry.get_manifest(repository, digest)).digest, digest, "manifest")
        # The SDK takes a 404 for success.
        await self.registry.delete_tag(repository, "gone")

    async def delete_manifest(self) -> None:
        repository = self.repository("deleted")
        by_digest, _ = await self.push("deleted", None, b"by digest")
        by_tag, _ = await self.push("deleted", "by-tag", b"by tag")
        await self.push("deleted", "stays", b"stays")
        for reference, digest in ((by_digest, by_digest), ("by-tag", by_tag)):
            await self.registry.delete_manifest(repository, reference)
            gone = self.registry.get_manifest(repository, digest)
            await refused(gone, ResourceNotFoundError, 404)
        await self.registry.delete_manifest(repository, by_digest)

    async def delete_manifest_of_absent_tag(self) -> None:
        await self.push("deleted", "stays", b"stays")
        call = self.registry.delete_manifest(self.repository("deleted"), "absent")
        await refused(call, ResourceNotFoundError, 404)

    async def delete_locked_manifest(self) -> None:
        digest, _ = await self.push("locked", "v1")
        repository = self.repository("locked")
        await self.registry.update_manifest_properties(
            repository, digest, can_delete=False, can_write=False
        )
        call = self.registry.delete_manifest(repository, digest)
        error = await refused(call, HttpResponseError, 405)
        if "locked" not in str(error) and "disallowed" not in str(error).lower():
            raise AssertionError(f"it does not say why: {error}")
        await self.registry.update_manifest_properties(
            repository, digest, can_delete=True, can_write=True
        )
        await self.registry.delete_manifest(repository, digest)

    async def delete_repository(self) -> None:
        await self.push("whole", "v1")
        repository = self.repository("whole")
        await self.registry.delete_repository(repository)
        gone = self.registry.get_repository_properties(repository)
        await refused(gone, ResourceNotFoundError, 404)
        await self.registry.delete_repository(repository)

    # Content

    async def manifests(self) -> None:
        digest, manifest = await self.push("content", "v1", b"content")
        repository = self.repository("content")
        for reference in (digest, "v1"):
            found = await self.registry.get_manifest(repository, reference)
            same((found.digest, found.media_type), (digest, OCI_MANIFEST), "manifest")
            same(found.manifest, json.loads(manifest), "document")
        missing = self.registry.get_manifest(repository, "absent")
        await refused(missing, ResourceNotFoundError, 404)

    async def index(self) -> None:
        digest, manifest = await self.push("content", None, b"content")
        child = {
            "mediaType": OCI_MANIFEST,
            "digest": digest,
            "size": len(manifest),
            "platform": {"architecture": "amd64", "os": "linux"},
        }
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [child]}
        repository = self.repository("content")
        pushed = await self.registry.set_manifest(
            repository, index, tag="multi", media_type=OCI_INDEX
        )
        found = await self.registry.get_manifest(repository, "multi")
        same((found.digest, found.media_type), (pushed, OCI_INDEX), "index")
        same(found.manifest, index, "document")

    async def missing_layer(self) -> None:
        _, manifest = await self.push("content", "v1", b"content")
        document = json.loads(manifest)
        document["layers"][0]["digest"] = digest_of(b"never pushed")
        call = self.registry.set_manifest(self.repository("content"), document, tag="bad")
        error = await refused(call, HttpResponseError, 400)
        code = json.loads(error.response.text())["errors"][0]["code"]
        same(code, "MANIFEST_BLOB_UNKNOWN", "code")

    async def blobs(self) -> None:
        content = random.Random(self.kind).randbytes(2 * CHUNK + 17)
        repository = self.repository("chunks")
        digest, size = await self.registry.upload_blob(repository, io.BytesIO(content))
        same((digest, size), (digest_of(content), len(content)), "blob")
        pieces = await self.registry.download(repository, digest)
        if b"".join(pieces) != content:
            raise AssertionError("other bytes came back")
        sent = [entry["body_bytes"] for entry in answered("upload_chunk", 202, repository)]
        same(sent, [CHUNK, CHUNK, 17], "chunks that were sent")
        ranges = answered("get_storage", 206, digest.removeprefix("sha256:"))
        same(len(ranges), 3, "ranges that were asked for")

    async def delete_blob(self) -> None:
        repository = self.repository("content")
        digest, _ = await self.registry.upload_blob(repository, io.BytesIO(b"to be deleted"))
        await self.registry.delete_blob(repository, digest)
        gone = self.registry.download_blob(repository, digest)
        await refused(gone, ResourceNotFoundError, 404)
        await self.registry.delete_blob(repository, digest)

    async def empty_blob(self) -> None:
        """What should be nothing: the SDK refuses what storage answers to the range of an empty blob."""
        repository = self.repository("content")
        digest, size = await self.registry.upload_blob(repository, io.BytesIO(b""))
        same((digest, size), (digest_of(b""), 0), "blob")
        await refused(self.registry.download(repository, digest), HttpResponseError, 416)

    # Cross reading

    async def read_ours(self) -> None:
        repository = os.environ["OURS_REPOSITORY"]
        found = await self.registry.get_manifest(repository, "v1")
        same(found.digest, os.environ["OURS_DIGEST"], "digest")
        for part in [found.manifest["config"], *found.manifest["layers"]]:
            pieces = await self.registry.download(repository, part["digest"])
            content = b"".join(pieces)
            same((digest_of(content), len(content)), (part["digest"], part["size"]), "blob")

    async def push_theirs(self) -> None:
        digest, _ = await self.push("theirs", "v1")
        pathlib.Path(os.environ["THEIRS_DIGEST"] + "-" + self.kind).write_text(digest)

    async def run(self) -> None:
        attempt = self.rows.attempt
        for operation, function in (
            ("list repositories by pages of 2", lists.repositories),
            ("list tags by pages of 2, and by time", lists.tags),
            ("list manifests by pages of 2, by time", lists.manifests),
            ("go on with a list by its token", lists.resumed),
        ):
            await attempt(operation, lambda function=function: function(self))
        await attempt("get and update repository properties", self.repository_properties)
        await attempt("get and update tag properties, locked tag", self.tag_properties)
        await attempt("get and update manifest properties", self.manifest_properties)
        await attempt(
            "tell the full name of a manifest",
            self.full_name,
            "defect",
            "fully_qualified_reference leaves out `sha256:` (azure/containerregistry/_models.py),"
            " so that what it gives is no reference",
        )
        await attempt("push over a locked tag: 405", self.locked_tag)
        await attempt("delete a tag, also an absent one", self.delete_tag)
        await attempt("delete a manifest, also an absent one", self.delete_manifest)
        await attempt(
            "delete the manifest of an absent tag: 404",
            self.delete_manifest_of_absent_tag,
            "defect",
            "documented not to raise if there is no manifest (delete_manifest in"
            " _container_registry_client.py), but resolves the tag first, which raises",
        )
        await attempt("delete a locked manifest: 405", self.delete_locked_manifest)
        await attempt("delete a repository, also an absent one", self.delete_repository)
        await attempt("put a manifest, get it by tag and digest", self.manifests)
        await attempt("put and get an index", self.index)
        await attempt("put a manifest without its layers: 400", self.missing_layer)
        await attempt("upload and download a blob in chunks", self.blobs)
        await attempt("delete a blob, also an absent one", self.delete_blob)
        await attempt(
            "upload and download an empty blob",
            self.empty_blob,
            "defect",
            "downloads by range only (azure/containerregistry/_download_stream.py); storage"
            " answers 416 to any range of an empty blob",
        )
        for operation, function in (
            ("notice another digest of a manifest that is read", integrity.read_manifest),
            ("notice other bytes of a blob that is read", integrity.read_blob),
            ("notice another digest of a manifest that was put", integrity.stored_manifest),
            ("notice another digest of a blob that was uploaded", integrity.stored_blob),
            ("list anonymously", rights.anonymous_lists),
            ("read anonymously", rights.anonymous_reads),
            ("write anonymously: 401", rights.anonymous_writes),
            ("sign in with a wrong token: 401", rights.wrong_token),
        ):
            await attempt(operation, lambda function=function: function(self))
        await attempt("read an image that we pushed", self.read_ours)
        await self.push_theirs()
        await attempt("every public operation was called", self.complete)

    async def complete(self) -> None:
        for calls in (self.registry, self.anonymous, self.impostor):
            await calls.close()
        kind = ContainerRegistryClient if self.kind == "sync" else AsyncContainerRegistryClient
        public = {name for name in dir(kind) if not name.startswith("_")}
        missing = public - self.registry.called
        same(missing, set(), "operations that were not called")


async def main() -> int:
    # The SDK's token clients leave their connections open, which the loop complains of.
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    failed = []
    for kind in ("sync", "aio"):
        peer = "azure-containerregistry" + ("" if kind == "sync" else " aio")
        rows = Rows(peer, VERSION)
        await Suite(kind, rows).run()
        failed += [f"{kind}: {operation}" for operation in rows.failed]
    print("\n".join(failed) or "all as expected")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
