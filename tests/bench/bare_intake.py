"""The limit of intake: a bare FastAPI endpoint and grouped journaled inserts of a document of the same size.

No sign-in, no checks, no encryption, no events, no relay: what any service that stores a request durably must do.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import uvicorn
from fastapi import FastAPI
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import WriteConcern

PADDING = "x" * max(0, int(os.environ["DOCUMENT_BYTES"]) - 1000)


class Group:
    """Requests that wait while an insert is under way share the next one; two are under way at most."""

    def __init__(self) -> None:
        client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(os.environ["BARE_URI"])
        durable = WriteConcern(w="majority", j=True)
        self._collection = client.get_default_database(write_concern=durable)["dossiers"]
        self._waiting: list[tuple[dict[str, Any], asyncio.Future[None]]] = []
        self._running = 0

    async def insert(self, document: dict[str, Any]) -> None:
        """Return once the document is journaled."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((document, future))
        if self._running < 2:
            await self._drain()
        await future

    async def _drain(self) -> None:
        self._running += 1
        while self._waiting:
            group, self._waiting = self._waiting[:200], self._waiting[200:]
            await self._collection.insert_many([document for document, _ in group], ordered=False)
            for _, future in group:
                future.set_result(None)
        self._running -= 1


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Say that measuring may begin."""
    app.state.group = Group()
    Path(os.environ["READY"]).touch()  # noqa: ASYNC240 - once, before anything is measured
    yield


app = FastAPI(lifespan=lifespan)


@app.post("/v1/dossiers", status_code=201)
async def submit(body: dict[str, Any]) -> dict[str, str]:
    """Store a request."""
    dossier = uuid4().hex
    await app.state.group.insert({"_id": dossier, "body": body, "padding": PADDING})
    return {"id": dossier}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["BARE_PORT"]), log_config=None, access_log=False)
