"""The params of the running pipeline: checked at once, applied one set at a time, every update answered."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Awaitable, Callable, Optional

from pydantic import BaseModel, ValidationError

from .errors import RunnerError, from_exception, from_validation, invalid_params

Values = dict[str, Any]
SIDES = ("width", "height")


@dataclass
class Checked:
    #: As they were given.
    given: Values
    #: With defaults filled in, as JSON carries them.
    value: Values


@dataclass
class Update:
    id: int
    mode: str
    value: Values
    answered: bool = False


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
    def __init__(self, model: type[BaseModel], initial: Values, params: Values, revision: int, answer: Callable[[Values], None]) -> None:
        self._model = model
        self._initial = initial
        self._answer = answer
        self._size: Optional[Values] = None
        self._pending: list[Update] = []
        self.revision = revision
        #: While true, updates are answered as soon as they are checked.
        self.loading = True
        self.in_force = self._wanted = self._check(params)

    @property
    def has_pending(self) -> bool:
        return bool(self._pending)

    def lease(self, id: int, params: Values, revision: int) -> None:
        self._size = None
        try:
            checked = self._check(params)
        except RunnerError as error:
            self._refuse_id(id, error)
            return
        self._size = {side: checked.value.get(side) for side in SIDES}
        self.revision = revision
        if checked.value != self._wanted.value:
            self._push(Update(id, "set", params, True), checked)
        self._done(id, "accepted", checked.value)

    def release(self) -> None:
        gone = RunnerError("pipeline-failed", "the stream ended before its params were applied")
        for update in self._pending:
            self._refuse(update, gone)
        self._pending = []
        self._size = None
        initial = self._check(self._initial)
        self._wanted = self.in_force
        if initial.value != self.in_force.value:
            self._push(Update(0, "set", self._initial, True), initial)

    def update(self, id: int, mode: str, value: Values) -> None:
        update = Update(id, mode, value)
        try:
            self._push(update, self._combine(self._wanted, update))
            if self.loading:
                self._accept(update)
        except RunnerError as error:
            self._refuse(update, error)

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
            self._recombine()
            return thrown
        self.in_force = next_
        self.revision += 1
        applied()
        for update in batch:
            if not update.answered:
                update.answered = True
                self._done(update.id, "applied", next_.value)
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
            self._done(update.id, "accepted", self._wanted.value)

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
        whole = copy.deepcopy(given)
        for side, value in (self._size or {}).items():
            if whole.get(side) is None and value is not None:
                whole[side] = value
        value = validate(self._model, whole)
        if (value.get("width") is None) != (value.get("height") is None):
            missing = "height" if value.get("width") else "width"
            raise invalid_params([{"path": [missing], "message": "width and height go together"}])
        if self._size is not None:
            changed = [side for side in SIDES if value.get(side) != self._size.get(side)]
            if changed:
                now = f"{self._size['width']}x{self._size['height']}" if self._size["width"] else "the source's own"
                raise RunnerError(
                    "conflict",
                    f"the size of a running stream cannot change; it is {now}",
                    [{"path": [side], "message": "needs a new stream"} for side in changed],
                )
        return Checked(whole, value)


def validate(model: type[BaseModel], given: Values) -> Values:
    """The params as JSON carries them; sides without a value are left out, as the server expects."""
    try:
        dumped = model.model_validate(given).model_dump(mode="json")
    except ValidationError as error:
        raise from_validation(error) from error
    return {key: value for key, value in dumped.items() if not (key in SIDES and value is None)}
