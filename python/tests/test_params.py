import asyncio
import json
from typing import Optional

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from app.live.pipelines.interface import BaseParams
from millrace_runner.errors import RunnerError
from millrace_runner.masking import MASK
from millrace_runner.params import ParamsStore
from millrace_runner.shown_params import check


class Params(BaseParams):
    strength: float = Field(default=0.8, ge=0, le=1)
    tags: str = ""

    @field_validator("tags")
    @classmethod
    def split(cls, value):
        return value.split(",")


def store(own=None, params=None):
    answers = []
    return ParamsStore(Params, own or {}, {}, params or {}, 1, answers.append), answers


async def put(checked, takes_long):
    pass


def test_what_a_validator_makes_stays_inside():
    value, _, shown = check(Params, {"tags": "a,b"})
    assert value["tags"] == ["a", "b"]
    assert shown == {"width": 512, "height": 512, "show_reloading_frame": True, "strength": 0.8, "tags": "a,b"}
    again = check(Params, shown)
    assert (again.value, again.shown) == (value, shown)


def test_names_that_the_model_does_not_know_are_not_shown():
    assert "colour" not in check(Params, {"colour": "red"}).shown


@pytest.mark.parametrize("given", [{"width": "640", "height": "480"}, {"width": 640.0, "height": 480.0}])
def test_the_server_reads_sides_as_numbers(given):
    shown = check(Params, given).shown
    assert (shown["width"], shown["height"]) == (640, 480)


@pytest.mark.parametrize(
    ("given", "path"), [({"strength": 1.5}, ["strength"]), ({"width": 63}, ["width"]), ({"tags": 3}, ["tags"])]
)
def test_faults_have_their_path(given, path):
    with pytest.raises(RunnerError) as raised:
        check(Params, given)
    assert [issue["path"] for issue in raised.value.issues] == [path]


def test_params_of_a_spec_hold_below_what_is_given():
    params, answers = store(own={"strength": 0.25})
    params.lease(1, {"tags": "x"}, 1)
    asyncio.run(params.apply_next(put, lambda: None))
    assert params.in_force.value["strength"] == 0.25
    params.loading = False
    for value, strength in (({"strength": 0.5}, 0.5), ({"strength": None}, 0.25)):
        params.update(2, "merge", value)
        asyncio.run(params.apply_next(put, lambda: None))
        assert params.in_force.value["strength"] == strength
        assert answers[-1]["params"]["strength"] == strength


def test_a_burst_applies_the_newest_and_answers_each():
    params, answers = store()
    params.loading = False
    for number in range(5):
        params.update(number + 1, "merge", {"strength": number / 10})
    params.update(9, "merge", {"strength": 7})
    asyncio.run(params.apply_next(put, lambda: None))
    assert params.in_force.value["strength"] == 0.4
    assert {answer["id"] for answer in answers if answer["type"] == "done"} == {1, 2, 3, 4, 5}
    assert [answer["id"] for answer in answers if answer["type"] == "refused"] == [9]


def test_an_update_that_the_pipeline_refuses_leaves_the_old_params():
    params, answers = store()
    params.loading = False

    async def refuse(checked, takes_long):
        raise ValueError("no such model")

    params.update(1, "merge", {"strength": 0.1})
    assert isinstance(asyncio.run(params.apply_next(refuse, lambda: None)), ValueError)
    assert params.in_force.value["strength"] == 0.8
    assert "no such model" in answers[-1]["error"]["message"]


class Login(BaseModel):
    user: str
    token: SecretStr


class Secrets(BaseParams):
    model_config = ConfigDict(populate_by_name=True)

    key: SecretStr = SecretStr("")
    hint: str = Field(default="", json_schema_extra={"writeOnly": True})
    pin: Optional[SecretStr] = Field(default=None, alias="PIN")
    logins: list[Login] = []
    named: dict[str, Login] = {}


def test_secrets_are_shown_as_a_mask_unless_they_are_empty():
    login = {"user": "me", "token": "s3cret"}
    shown = check(Secrets, {"key": "s3cret", "pin": "s3cret", "logins": [login], "named": {"a": login}}).shown
    assert "s3cret" not in json.dumps(shown)
    masked = {"user": "me", "token": MASK}
    assert (shown["key"], shown["logins"], shown["named"]) == (MASK, [masked], {"a": masked})
    assert check(Secrets, {}).shown["key"] == ""


def test_a_secret_that_changed_is_put_in_force_and_taken_out_again():
    answers = []
    params = ParamsStore(Secrets, {}, {}, {}, 1, answers.append)
    params.lease(1, {"key": "first"}, 1)
    assert params.has_pending
    asyncio.run(params.apply_next(put, lambda: None))
    assert params.in_force.given["key"] == "first"
    params.release()
    assert params.has_pending
    assert "first" not in json.dumps(answers)


class Weights(BaseParams):
    file: str = "there.bin"


def there(params):
    if params.file != "there.bin":
        raise FileNotFoundError(f"there is no {params.file}")


def test_what_the_pipeline_does_not_take_is_refused_before_it_is_in_force():
    answers = []
    params = ParamsStore(Weights, {}, {}, {}, 1, answers.append, there)
    params.lease(1, {"file": "gone.bin"}, 1)
    params.update(2, "merge", {"file": "gone.bin"})
    for answer in answers:
        assert (answer["type"], answer["error"]["code"]) == ("refused", "invalid-params")
        assert answer["error"]["issues"] == [{"path": [], "message": "there is no gone.bin"}]
    assert not params.has_pending
    with pytest.raises(RunnerError, match="there is no gone"):
        ParamsStore(Weights, {}, {}, {"file": "gone.bin"}, 1, answers.append, there)
