"""Lists: pages, orders, and going on."""

from azure.containerregistry import ArtifactManifestOrder, ArtifactTagOrder

from checks import same


async def repositories(suite) -> None:
    for name in "abc":
        await suite.push(f"listed-{name}", "v1")
    pages = await suite.registry.pages("list_repository_names", results_per_page=2)
    if any(len(page) > 2 for page in pages) or len(pages) < 2:
        raise AssertionError(f"pages of {[len(page) for page in pages]}")
    names = [name for page in pages for name in page]
    same(len(names), len(set(names)), "names that are there once")
    mine = [name for name in names if name.startswith(suite.repository("listed-"))]
    same(mine, [suite.repository(f"listed-{name}") for name in "abc"], "repositories")


async def tags(suite) -> None:
    for tag in ("one", "two", "three", "four", "five"):
        await suite.push("tags", tag, tag.encode())
    repository = suite.repository("tags")
    pages = await suite.registry.pages("list_tag_properties", repository, results_per_page=2)
    same([len(page) for page in pages], [2, 2, 1], "pages")
    names = [tag.name for page in pages for tag in page]
    same(names, ["five", "four", "one", "three", "two"], "tags by name")
    for order, expected in (
        (ArtifactTagOrder.LAST_UPDATED_ON_ASCENDING, ["one", "two", "three", "four", "five"]),
        (ArtifactTagOrder.LAST_UPDATED_ON_DESCENDING, ["five", "four", "three", "two", "one"]),
    ):
        pages = await suite.registry.pages("list_tag_properties", repository, order_by=order)
        same([tag.name for page in pages for tag in page], expected, "tags by time")


async def manifests(suite) -> None:
    digests = [(await suite.push("manifests", None, bytes([n])))[0] for n in range(5)]
    repository = suite.repository("manifests")
    pages = await suite.registry.pages(
        "list_manifest_properties",
        repository,
        results_per_page=2,
        order_by=ArtifactManifestOrder.LAST_UPDATED_ON_ASCENDING,
    )
    same([len(page) for page in pages], [2, 2, 1], "pages")
    same([item.digest for page in pages for item in page], digests, "manifests by time")


async def resumed(suite) -> None:
    for tag in ("one", "two", "three"):
        await suite.push("resumed", tag, tag.encode())
    repository = suite.repository("resumed")
    token, names = await suite.registry.first_page(
        "list_tag_properties", repository, results_per_page=2
    )
    same(names, ["one", "three"], "first page")
    pages = await suite.registry.pages("list_tag_properties", repository, after=token)
    same([tag.name for page in pages for tag in page], ["two"], "what is left")
