"""Types at the edges: what only pydantic knows, generics, unions of several libraries, and how each grows."""

import pathlib
from dataclasses import InitVar, dataclass, field
from typing import Annotated, Any, ClassVar, Generic, Literal, NamedTuple, NewType, TypedDict, TypeVar

import annotated_types
import msgspec
import pydantic
import pytest

import tako
from tako import ChatResponse, InvalidReplyError, Message
from tako.typed import ReplyType, reply_type_of

from .kinds import Person, wrapped

T = TypeVar("T")


class Node(pydantic.BaseModel):
    v: int
    nodes: list["Node"] = []


class Visitor(pydantic.BaseModel):
    page: pydantic.HttpUrl
    password: pydantic.SecretStr
    home: pathlib.Path
    age: pydantic.PositiveInt
    parts: list[str] = pydantic.Field(min_length=1)


@dataclass
class Box(Generic[T]):
    item: T
    more: dict[str, list[T]]
    last: T | None = None


@dataclass
class NodeBox(Box[Node]):
    name: str = ""


class Pair(TypedDict, Generic[T]):
    left: T
    right: T


class Named(NamedTuple):
    a: int
    node: Node


class Cat(pydantic.BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(pydantic.BaseModel):
    kind: Literal["dog"]
    bark: str


Pet = Annotated[Cat | Dog, pydantic.Field(discriminator="kind")]


class Numbers(pydantic.RootModel[list[int]]):
    pass


class Json(pydantic.RootModel[list["Json"] | dict[str, "Json"] | int]):
    pass


@dataclass(frozen=True, slots=True)
class Product:
    name: str
    seed: InitVar[int]
    count: ClassVar[int] = 0
    upper: str = field(init=False)
    tags: list[str] = field(init=False, default_factory=list)

    def __post_init__(self, seed: int) -> None:
        object.__setattr__(self, "upper", self.name.upper() * seed)


class Slug(pydantic.BaseModel):
    name: str
    slug: str = pydantic.Field(default_factory=lambda values: values["name"].lower())


@dataclass
class Checked:
    unit: str

    def __post_init__(self) -> None:
        {"m": 1}[self.unit]
        assert self.unit != "km", "no kilometres"


class CheckedModel(pydantic.BaseModel):
    unit: str

    @pydantic.field_validator("unit")
    @classmethod
    def known(cls, unit: str) -> int:
        return {"m": 1}[unit]


class Strict(msgspec.Struct):
    name: str
    age: int

    def __post_init__(self) -> None:
        self.age.bit_length()


@dataclass
class Compared:  # noqa: PLW1641
    name: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Compared) and self.name.lower() == other.name.lower()


VISITOR = '{"page": "https://x.com/", "password": "p", "home": "/h", "age": 3, "parts": ["a"]}'
CASES: list[tuple[Any, str, Any]] = [
    (int | Node, "5", 5),
    (int | Node, '{"v": 1, "nodes": []}', Node(v=1)),
    (str | int | Node | Person, '{"name": "Ada", "age": 36}', Person("Ada", 36)),
    (Box[Node], '{"item": {"v": 1}, "more": {"a": [{"v": 2}]}}', Box(Node(v=1), {"a": [Node(v=2)]})),
    (NodeBox, '{"item": {"v": 1}, "more": {}, "name": "n"}', NodeBox(Node(v=1), {}, None, "n")),
    (Box[Box[Node]], '{"item": {"item": {"v": 1}, "more": {}}, "more": {}}', Box(Box(Node(v=1), {}), {})),
    (Pair[Node], '{"left": {"v": 1}, "right": {"v": 2}}', {"left": Node(v=1), "right": Node(v=2)}),
    (tuple[Node, int], '[{"v": 1}, 2]', (Node(v=1), 2)),
    (Named, '[1, {"v": 1}]', Named(1, Node(v=1))),
    (pathlib.Path, '"/x"', pathlib.Path("/x")),
    (pydantic.HttpUrl, '"https://x.com/"', pydantic.HttpUrl("https://x.com/")),
    (Visitor, VISITOR, Visitor.model_validate_json(VISITOR)),
    (Pet, '{"kind": "dog", "bark": "w"}', Dog(kind="dog", bark="w")),
    (list[Pet], '[{"kind": "cat"}]', [Cat(kind="cat")]),
    (Product, '{"name": "a", "seed": 2}', Product("a", 2)),
    (list[Product], '[{"name": "a", "seed": 2}]', [Product("a", 2)]),
    (Slug, '{"name": "Ada"}', Slug(name="Ada")),
    (NewType("Named", Node), '{"v": 1}', Node(v=1)),
    (list[NewType("Names", str)], '["a"]', ["a"]),
    (Strict, '{"name": "Ada", "age": 3}', Strict("Ada", 3)),
    (Compared, '{"name": "Ada"}', Compared("Ada")),
    (Json, '{"a": [1, {}]}', Json.model_validate({"a": [1, {}]})),
]


@pytest.mark.parametrize(("declared", "text", "value"), CASES, ids=str)
def test_odd_types_are_read_as_they_say(declared: Any, text: str, value: Any) -> None:
    reply_type = ReplyType(declared)
    full = wrapped(declared, text)
    assert read(reply_type, full) == value
    assert type(read(reply_type, full)) is type(value)
    assert grown(reply_type, full)[-1] == value
    assert msgspec.json.encode(reply_type.schema.schema)


def read(reply_type: ReplyType, text: str) -> Any:
    return reply_type.read(ChatResponse(Message.assistant(text)))


def grown(reply_type: ReplyType, text: str) -> list[Any]:
    partials = reply_type.partials()
    return [value for letter in text for value in partials.feed(tako.Delta(letter))]


def test_constrained_lists_unions_with_a_discriminator_and_root_models_grow() -> None:
    assert grown(ReplyType(Annotated[list[int], annotated_types.MinLen(2)]), '{"value": [1, 2, 3]}') == [
        [],
        [1],
        [1, 2],
        [1, 2, 3],
    ]
    visitors = grown(ReplyType(Visitor), '{"parts": ["ab", "c"]}')
    assert [one.parts for one in visitors][-4:] == [["a"], ["ab"], ["ab", ""], ["ab", "c"]]
    assert [one.bark for one in grown(ReplyType(Pet), '{"value": {"kind": "dog", "bark": "wow"}}')] == [
        None,
        "",
        "w",
        "wo",
        "wow",
    ]
    partials = grown(ReplyType(Product), '{"name": "ab", "seed": 1}')
    assert [(one.name, one.upper, one.tags) for one in partials][:3] == [
        (None, None, []),
        ("", None, []),
        ("a", None, []),
    ]
    assert [one.root for one in grown(ReplyType(Numbers), '{"value": [1, 2]}')] == [[], [1], [1, 2]]


@pytest.mark.parametrize(
    ("declared", "text"),
    [
        (Visitor, VISITOR.replace("3", "-3")),
        (Visitor, VISITOR.replace('["a"]', "[]")),
        (Box[Node], '{"item": 5, "more": {}}'),
        (tuple[Node, int], '{"value": [{"v": 1}]}'),
        (int | Node, '{"value": "x"}'),
        (str, '{"value": "\\ud800"}'),
        (str, '{"value": "\ud800"}'),
        (Person, '{"name": "\\udc00", "age": 3}'),
        (Pet, '{"value": {"kind": "cow"}}'),
        (Product, '{"name": "a", "seed": 2, "upper": "A"}'),
        (Product, '{"name": "a"}'),
        (Checked, '{"unit": "inch"}'),
        (list[Checked], '{"value": [{"unit": "inch"}]}'),
        (CheckedModel, '{"unit": "inch"}'),
    ],
    ids=repr,
)
def test_what_doesnt_fit_an_odd_type_is_a_mismatch(declared: Any, text: str) -> None:
    with pytest.raises(InvalidReplyError) as caught:
        read(reply_type_of(declared), text)
    assert caught.value.reason == "mismatch"
