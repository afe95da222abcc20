"""The collector's HTTP side: OTLP in, questions about what came in. Forwards nothing anywhere."""

import contextlib
import zlib
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from deploy.local.sandbox.base import build_app
from deploy.local.sandbox.collector.spans import read_export
from deploy.local.sandbox.collector.store import SpanStore
from deploy.local.sandbox.faults import FaultBox, Faults
from deploy.local.sandbox.settings import SandboxSettings

PROTOBUF = "application/x-protobuf"
_LARGEST_BYTES = 64 * 1024 * 1024
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


class CollectorSettings(SandboxSettings):
    """Where the collector listens for OTLP/HTTP."""

    http_port: int = 8204


def create_app(settings: CollectorSettings) -> FastAPI:
    """The collector as an ASGI app; its spans lie in `settings.data_dir`."""
    store = SpanStore(settings.data_dir)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        store.close()

    app = build_app("Sandbox trace collector", FaultBox(Faults), lifespan)
    _add_receiver(app, store)
    _add_questions(app, store)
    return app


def _add_receiver(app: FastAPI, store: SpanStore) -> None:
    @app.post("/v1/traces")
    async def receive(request: Request) -> Response:
        if request.headers.get("content-type", "").split(";")[0] != PROTOBUF:
            return JSONResponse({"title": f"content-type must be {PROTOBUF}"}, 415)
        body = await request.body()
        try:
            if request.headers.get("content-encoding", "") in ("gzip", "deflate"):
                body = zlib.decompressobj(_GZIP_OR_ZLIB).decompress(body, _LARGEST_BYTES)
            spans = read_export(body)
        except (DecodeError, zlib.error):
            return JSONResponse({"title": "the body is no ExportTraceServiceRequest"}, 400)
        store.add(spans)
        return Response(ExportTraceServiceResponse().SerializeToString(), media_type=PROTOBUF)


def _add_questions(app: FastAPI, store: SpanStore) -> None:
    @app.get("/sandbox/traces/{trace_id}")
    async def trace(trace_id: str) -> JSONResponse:
        return JSONResponse([span.as_json() for span in store.trace(trace_id)])

    @app.get("/sandbox/spans")
    async def spans(service: str = "", name: str = "", limit: int = 100) -> JSONResponse:
        return JSONResponse([span.as_json() for span in store.find(service, name, limit)])

    @app.get("/sandbox/spans/count")
    async def count() -> dict[str, Any]:
        return store.count()

    @app.delete("/sandbox/spans")
    async def clear() -> dict[str, Any]:
        store.clear()
        return store.count()

    @app.get("/sandbox/dump")
    async def dump() -> Response:
        async def lines() -> AsyncIterator[str]:
            for span in store.everything():
                for text in span.texts():
                    yield f"{span.service}\t{text}\n"

        return StreamingResponse(lines(), media_type="text/plain; charset=utf-8")
