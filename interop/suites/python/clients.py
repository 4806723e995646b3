"""The two clients of azure-containerregistry behind one face, and what was called on them."""

import time

from azure.containerregistry import ContainerRegistryClient
from azure.containerregistry.aio import ContainerRegistryClient as AsyncContainerRegistryClient
from azure.core.credentials import AccessToken


class Token:
    """A credential that always has this token."""

    def __init__(self, token: str) -> None:
        self.token = token

    def get_token(self, *_scopes: str, **_options: object) -> AccessToken:
        return AccessToken(self.token, int(time.time()) + 3600)


class AsyncToken(Token):
    async def get_token(self, *_scopes: str, **_options: object) -> AccessToken:
        return super().get_token()

    async def close(self) -> None:
        pass


class Calls:
    """Awaits what a client gives, awaitable or not, and notes the names of its operations."""

    def __init__(self, client: object) -> None:
        self.client = client
        self.called: set[str] = set()

    def __getattr__(self, name: str):
        function = getattr(self.client, name)
        self.called.add(name)

        async def call(*arguments, **options):
            given = function(*arguments, **options)
            return await given if hasattr(given, "__await__") else given

        return call

    async def pages(self, name: str, *arguments, after=None, **options) -> list[list]:
        """All pages of a list operation after a token, each as a list."""
        self.called.add(name)
        pages = getattr(self.client, name)(*arguments, **options).by_page(after)
        if hasattr(pages, "__aiter__"):
            return [[item async for item in page] async for page in pages]
        return [list(page) for page in pages]

    async def first_page(self, name: str, *arguments, **options) -> tuple[str, list[str]]:
        """The token of the first page, and the names on it."""
        pages = getattr(self.client, name)(*arguments, **options).by_page()
        if hasattr(pages, "__aiter__"):
            items = [item async for item in await anext(pages)]
        else:
            items = list(next(pages))
        return pages.continuation_token, [item.name for item in items]

    async def download(self, repository: str, digest: str) -> list[bytes]:
        """The pieces of a blob."""
        stream = await self.download_blob(repository, digest)
        if hasattr(stream, "__aiter__"):
            return [piece async for piece in stream]
        return list(stream)


def client(kind: str, endpoint: str, token: str | None) -> Calls:
    options = {"retry_total": 0}
    if kind == "sync":
        credential = None if token is None else Token(token)
        return Calls(ContainerRegistryClient(endpoint, credential, **options))
    credential = None if token is None else AsyncToken(token)
    return Calls(AsyncContainerRegistryClient(endpoint, credential, **options))
