"""The params of the running pipeline: validated at once, applied one set at a time, every update answered."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Optional

from pydantic import BaseModel, ValidationError

from .errors import RunnerError, from_exception, from_validation, invalid_params
from .masking import Values
from .shown_params import check

#: Id of the update back to the variant's own params; the server's ids are above it.
RELEASE_ID = 0


@dataclass
class Checked:
    #: As given.
    given: Values
    #: From the model, with defaults; as JSON, in which a SecretStr is masked.
    value: Values
    #: The same as Python values, to detect a change.
    made: Values
    #: As the API shows them.
    shown: Values


@dataclass
class Update:
    id: int
    mode: str
    value: Values
    answered: bool = False


def is_start(update: Update) -> bool:
    return update.mode == "set" and update.id != RELEASE_ID


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


class ParamsStore:
    def __init__(
        self,
        model: type[BaseModel],
        own: Values,
        initial: Values,
        params: Values,
        revision: int,
        answer: Callable[[Values], None],
        check_more: Callable[[BaseModel], None] = lambda params: None,
    ) -> None:
        """`own`: params of a PipelineSpec, which are defaults below any given ones. `check_more` raises for params that
        the model accepts and the pipeline refuses. Raises RunnerError if either refuses them."""
        self._model = model
        self._own = own
        self._initial = initial
        self._answer = answer
        self._check_more = check_more
        self._pending: list[Update] = []
        self.revision = revision
        #: The initial params of the stream, or of a publisher, could not be applied.
        self.start_failed = False
        #: While true, updates are answered as soon as they are validated.
        self.loading = True
        self.in_force = self._wanted = self._check(params)

    @property
    def has_pending(self) -> bool:
        return bool(self._pending)

    @property
    def start_waits(self) -> bool:
        """Return whether the initial params of the stream, or of its newest publisher, are not in effect yet."""
        return any(map(is_start, self._pending))

    def lease(self, id: int, params: Values, revision: int) -> None:
        try:
            checked = self._check(params)
        except RunnerError as error:
            self._refuse_id(id, error)
            return
        self.revision = revision
        if checked.made != self._wanted.made:
            self._push(Update(id, "set", params, True), checked)
        self._done(id, "accepted", checked.shown)

    def release(self) -> None:
        gone = RunnerError("pipeline-failed", "the stream ended before its params were applied")
        for update in self._pending:
            self._refuse(update, gone)
        self._pending = []
        initial = self._parse(self._initial)
        self._wanted = self.in_force
        if initial.made != self.in_force.made:
            self._push(Update(RELEASE_ID, "set", self._initial, True), initial)

    def update(self, id: int, mode: str, value: Values) -> None:
        update = Update(id, mode, value)
        try:
            self._push(update, self._combine(self._wanted, update))
            if self.loading:
                self._accept(update)
        except RunnerError as error:
            self._refuse(update, error)

    def check(self, id: int, mode: str, value: Values) -> None:
        """Answer as `update` would, without applying it."""
        try:
            self._done(id, "accepted", self._combine(self._wanted, Update(id, mode, value)).shown)
        except RunnerError as error:
            self._refuse_id(id, error)

    async def apply_next(
        self, apply: Callable[[Checked, Callable[[], None]], Awaitable[None]], applied: Callable[[], None]
    ) -> Optional[BaseException]:
        batch, next_ = self._pending, self._wanted
        self._pending = []

        def takes_long() -> None:
            for update in batch:
                self._accept(update)

        try:
            await apply(next_, takes_long)
        except Exception as thrown:
            for update in batch:
                self._refuse(update, from_exception(thrown))
            self.start_failed = any(map(is_start, batch))
            self._recombine()
            return thrown
        self.in_force = next_
        self.revision += 1
        applied()
        for update in batch:
            if not update.answered:
                update.answered = True
                self._done(update.id, "applied", next_.shown)
        return None

    def _recombine(self) -> None:
        waiting, self._pending = self._pending, []
        self._wanted = self.in_force
        for update in waiting:
            try:
                self._push(update, self._combine(self._wanted, update))
            except RunnerError as error:
                self._refuse(update, error)

    def _push(self, update: Update, wanted: Checked) -> None:
        self._pending.append(update)
        self._wanted = wanted

    def _accept(self, update: Update) -> None:
        if not update.answered:
            update.answered = True
            self._done(update.id, "accepted", self._wanted.shown)

    def _done(self, id: int, status: str, params: Values) -> None:
        self._answer({"type": "done", "id": id, "status": status, "revision": self.revision, "params": params})

    def _refuse(self, update: Update, error: RunnerError) -> None:
        if not update.answered:
            update.answered = True
            self._refuse_id(update.id, error)

    def _refuse_id(self, id: int, error: RunnerError) -> None:
        self._answer({"type": "refused", "id": id, "error": error.to_json()})

    def _combine(self, base: Checked, update: Update) -> Checked:
        if update.mode == "merge":
            return self._check(merge_patch(base.given, update.value))
        if update.mode == "replace":
            return self._check({**self._initial, **update.value})
        return self._check(update.value)

    def _check(self, given: Values) -> Checked:
        checked = self._parse(given)
        try:
            self._check_more(self._model.model_validate(copy.deepcopy(checked.given)))
        except ValidationError as error:
            raise from_validation(error) from error
        except Exception as thrown:
            raise invalid_params([{"path": [], "message": str(thrown) or type(thrown).__name__}]) from thrown
        return checked

    def _parse(self, given: Values) -> Checked:
        whole = copy.deepcopy({**self._own, **given})
        value, made, shown = check(self._model, whole)
        if (value.get("width") is None) != (value.get("height") is None):
            missing = "height" if value.get("width") else "width"
            raise invalid_params([{"path": [missing], "message": "width and height go together"}])
        return Checked(whole, value, made, shown)
