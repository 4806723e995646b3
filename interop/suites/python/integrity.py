"""What the SDK says to answers that are not what they should be: `changed_answers` in common.sh."""

import io

from azure.containerregistry import DigestValidationError

from checks import digest_of, raised

OCI_INDEX = "application/vnd.oci.image.index.v1+json"


async def read_manifest(suite) -> None:
    digest, _ = await suite.push("read", "v1")
    for reference in ("v1", digest):
        call = suite.registry.get_manifest(suite.repository("read"), reference)
        await raised(call, DigestValidationError)


async def read_blob(suite) -> None:
    layer = b"changed on the way"
    await suite.push("changed", "v1", layer)
    call = suite.registry.download(suite.repository("changed"), digest_of(layer))
    await raised(call, DigestValidationError)


async def stored_manifest(suite) -> None:
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
    repository = suite.repository("stored")
    call = suite.registry.set_manifest(repository, index, tag="v1", media_type=OCI_INDEX)
    await raised(call, DigestValidationError)


async def stored_blob(suite) -> None:
    call = suite.registry.upload_blob(suite.repository("stored"), io.BytesIO(b"layer"))
    await raised(call, DigestValidationError)
