"""The application: addresses, limits, and the model that is loaded while the server already answers /health."""

import asyncio
import json
import logging
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from textlstm import __version__
from textlstm.config import ServeConfig
from textlstm.errors import TextLSTMError
from textlstm.inference.answers import answer_columns
from textlstm.inference.classifier import TextClassifier
from textlstm.model_folder import model_digest
from textlstm.serving.batching import Batcher
from textlstm.serving.metrics import CONTENT_TYPE, Metrics
from textlstm.serving.requests import JSON_TYPE, Question, Refused, read_question

LOGGER = logging.getLogger("textlstm.serving")


class ScoringService:
    """One model behind HTTP: loads it, collects requests into batches, answers them, counts."""

    def __init__(
        self, config: ServeConfig, model_dir: Path, *, on_ready: Callable[[], None], on_failure: Callable[[], None]
    ) -> None:
        """Load nothing yet.

        Args:
            config: limits and the wait of batches.
            model_dir: folder of the model.
            on_ready: called once the model is loaded.
            on_failure: called where it cannot be loaded; `failure` then says why.
        """
        self._config, self._model_dir = config, model_dir
        self._on_ready, self._on_failure = on_ready, on_failure
        self._classifier: TextClassifier | None = None
        self._is_loaded = asyncio.Event()
        self.metrics = Metrics()
        self._batcher = Batcher(
            self._score,
            wait_seconds=config.batch_wait_ms / 1000,
            most_rows=config.batch_rows,
            on_batch=self.metrics.batch_rows.add,
        )
        self.digest = model_digest(model_dir)
        self.failure: TextLSTMError | None = None

    def app(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[
                Route("/invocations", self.answer, methods=["POST"]),
                Route("/health", self.health),
                Route("/ready", self.ready),
                Route("/ping", self.ready),
                Route("/version", self.version),
                Route("/metrics", self.show_metrics),
            ],
            lifespan=self._lifespan,
        )

    async def answer(self, request: Request) -> Response:
        """Answer the rows of a request with predictions, as MLflow's server does."""
        start = time.perf_counter()
        try:
            question = read_question(await self._body(request), request.headers.get("content-type", ""))
            response = Response(await self._answer_to(question), media_type=JSON_TYPE)
            self.metrics.num_rows += len(question.texts)
        except Refused as refused:
            response = _refusal(refused)
        except Exception:
            LOGGER.exception("a request failed")
            response = _refusal(Refused("the server failed; its log says why", status=500, code="INTERNAL_ERROR"))
        self.metrics.requests[response.status_code] += 1
        self.metrics.seconds.add(time.perf_counter() - start)
        return response

    async def health(self, _request: Request) -> Response:
        """Say that the process is alive."""
        return Response("\n", media_type=JSON_TYPE)

    async def ready(self, _request: Request) -> Response:
        """Say whether requests are answered: 200, or 503 while the model is loaded."""
        return Response("\n", status_code=503 if self._classifier is None else 200, media_type=JSON_TYPE)

    async def version(self, _request: Request) -> Response:
        """Say which model answers, and which textlstm."""
        content = {"model": self._config.model_dir, "digest": self.digest, "textlstm": __version__}
        return Response(json.dumps(content), media_type=JSON_TYPE)

    async def show_metrics(self, _request: Request) -> Response:
        """Give the counts of this process in Prometheus' text format."""
        model = {"model": self._config.model_dir, "digest": self.digest, "version": __version__}
        text = self.metrics.text(
            model=model,
            is_ready=self._classifier is not None,
            num_waiting=self._batcher.num_waiting,
            process=os.getpid(),
        )
        return Response(text, headers={"content-type": CONTENT_TYPE})

    async def _body(self, request: Request) -> bytes:
        """Return the body; one that is too large is refused before it is read whole."""
        most = self._config.max_body_bytes
        too_large = Refused(f"the body is larger than {most:,} bytes (max_body_bytes)", status=413)
        if int(request.headers.get("content-length", "0") or 0) > most:
            raise too_large
        parts, size = [], 0
        async for part in request.stream():
            size += len(part)
            if size > most:
                raise too_large
            parts.append(part)
        return b"".join(parts)

    async def _answer_to(self, question: Question) -> str:
        # Refuse what cannot be worked on now, then wait for the batch that holds these rows.
        texts, config = question.texts, self._config
        if len(texts) > config.max_rows:
            raise Refused(f"{len(texts):,} rows in a request; {config.max_rows:,} are allowed (max_rows)", status=413)
        if self._batcher.num_waiting + len(texts) > config.max_waiting_rows:
            raise Refused("too many rows are waiting (max_waiting_rows); ask again later", status=503, code="BUSY")
        # Requests that come while the model is loaded wait for it.
        classifier = await self._classifier_loaded()
        probabilities = await self._batcher.probabilities(texts)
        columns = answer_columns(classifier, texts, probabilities, top_k=question.top_k, with_all=question.with_all)
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        return json.dumps({"predictions": rows})

    async def _classifier_loaded(self) -> TextClassifier:
        if self._classifier is None:
            await self._is_loaded.wait()
        assert self._classifier is not None
        return self._classifier

    def _score(self, texts: Any) -> Any:
        assert self._classifier is not None
        return self._classifier.predict_proba(texts)

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._load()), asyncio.create_task(self._batcher.run())]
        yield
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self._batcher.stop()

    async def _load(self) -> None:
        try:
            classifier = await asyncio.to_thread(_loaded, self._model_dir)
        except TextLSTMError as error:
            self.failure = error
            self._on_failure()
            return
        self._classifier = classifier
        self._is_loaded.set()
        self._on_ready()


def _loaded(model_dir: Path) -> TextClassifier:
    # One thread for the networks: the products of a batch are small, and the other cores have requests to read.
    classifier = TextClassifier.load(model_dir, num_threads=1, without_torch=True)
    # The first prediction builds tables that later ones share.
    classifier.predict(["A first text."])
    return classifier


def _refusal(refused: Refused) -> Response:
    content = {"error_code": refused.code, "message": refused.message}
    headers = {"retry-after": "1"} if refused.status == 503 else None
    return Response(json.dumps(content), status_code=refused.status, media_type=JSON_TYPE, headers=headers)
