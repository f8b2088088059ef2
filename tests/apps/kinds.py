"""Types that people ask replies of, each with a value and the JSON that stands for it."""

import datetime as dt
import enum
import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, NotRequired, Optional, TypedDict, TypeVar

import annotated_types
import msgspec
import pydantic

T = TypeVar("T")


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@dataclass
class Person:
    """Somebody."""

    name: str
    age: int
    nick: str | None = None


@dataclass(frozen=True)
class Point:
    x: float
    y: float


@dataclass(slots=True)
class Company:
    title: str
    people: list[Person] = field(default_factory=list)


@dataclass
class Owned:
    owner: Person | Company
    shares: Annotated[int, msgspec.Meta(ge=1, le=100)]


@dataclass
class Tree:
    name: str
    children: list["Tree"] = field(default_factory=list)


@dataclass
class Even:
    number: int

    def __post_init__(self) -> None:
        if self.number % 2:
            raise ValueError("it's odd")


@dataclass
class Box(Generic[T]):
    content: T


class Movie(TypedDict):
    title: str
    year: NotRequired[int]


class Ticket(msgspec.Struct):
    id: int
    tags: list[str] = []


class Cat(msgspec.Struct, tag=True):
    lives: int


class Dog(msgspec.Struct, tag=True):
    tricks: list[str] = []


class Camel(msgspec.Struct, rename="camel"):
    hump_count: int


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    only: int


class Pair(NamedTuple):
    left: int
    right: str


class Recipe(pydantic.BaseModel):
    title: str
    minutes: Annotated[int, pydantic.Field(gt=0)]
    steps: list[str] = []


class Aliased(pydantic.BaseModel):
    kind: str = pydantic.Field(alias="type", description="What it is")


class Checked(pydantic.BaseModel):
    low: int
    high: int

    @pydantic.model_validator(mode="after")
    def in_order(self) -> "Checked":
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


class Node(pydantic.BaseModel):
    name: str
    next: Optional["Node"] = None


class Numbers(pydantic.RootModel[list[int]]):
    pass


class Circle(pydantic.BaseModel):
    kind: Literal["circle"]
    radius: float


class Square(pydantic.BaseModel):
    kind: Literal["square"]
    side: float


@pydantic.dataclasses.dataclass
class Measured:
    size: Annotated[int, pydantic.Field(ge=0)]


@dataclass
class Mixed:
    recipe: Recipe
    point: Point
    score: Annotated[float, annotated_types.Gt(0)]


ADA = '{"name": "Ada", "age": 36, "nick": null}'
KINDS: list[tuple[Any, Any, str]] = [
    (str, "hello", '"hello"'),
    (int, 7, "7"),
    (float, 7.5, "7.5"),
    (bool, True, "true"),
    (Decimal, Decimal("0.10"), '"0.10"'),
    (dt.date, dt.date(2026, 1, 2), '"2026-01-02"'),
    (dt.datetime, dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC), '"2026-01-02T03:04:05Z"'),
    (uuid.UUID, uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
    (Colour, Colour.RED, '"red"'),
    (Level, Level.HIGH, "2"),
    (Literal["yes", "no"], "yes", '"yes"'),
    (int | None, None, "null"),
    (int | str, "x", '"x"'),
    (list[int], [1, 2], "[1, 2]"),
    (set[str], {"a", "b"}, '["a", "b"]'),
    (tuple[int, str], (1, "a"), '[1, "a"]'),
    (dict[str, int], {"a": 1}, '{"a": 1}'),
    (Pair, Pair(1, "a"), '[1, "a"]'),
    (Annotated[int, msgspec.Meta(ge=3)], 3, "3"),
    (Annotated[str, msgspec.Meta(min_length=2)], "ab", '"ab"'),
    (Annotated[int, annotated_types.Gt(3)], 4, "4"),
    (Person, Person("Ada", 36), ADA),
    (Point, Point(1.0, 2.5), '{"x": 1, "y": 2.5}'),
    (Company, Company("X", [Person("Ada", 36)]), f'{{"title": "X", "people": [{ADA}]}}'),
    (Owned, Owned(Company("X"), 5), '{"owner": {"title": "X", "people": []}, "shares": 5}'),
    (Tree, Tree("a", [Tree("b")]), '{"name": "a", "children": [{"name": "b", "children": []}]}'),
    (Even, Even(2), '{"number": 2}'),
    (Box[int], Box(3), '{"content": 3}'),
    (Movie, {"title": "X", "year": 1999}, '{"title": "X", "year": 1999}'),
    (Ticket, Ticket(1, ["a"]), '{"id": 1, "tags": ["a"]}'),
    (Cat | Dog, Dog(["sit"]), '{"type": "Dog", "tricks": ["sit"]}'),
    (Camel, Camel(2), '{"humpCount": 2}'),
    (Strict, Strict(1), '{"only": 1}'),
    (Person | Company, Person("Ada", 36), ADA),
    (list[Person | Company], [Company("X"), Person("Ada", 36)], f'[{{"title": "X", "people": []}}, {ADA}]'),
    (dict[str, Point | None], {"a": Point(1, 2), "b": None}, '{"a": {"x": 1, "y": 2}, "b": null}'),
    (
        Annotated[list[Person | Company], msgspec.Meta(min_length=1)],
        [Company("X")],
        '[{"title": "X", "people": []}]',
    ),
    (
        Recipe,
        Recipe(title="Tea", minutes=5, steps=["boil"]),
        '{"title": "Tea", "minutes": 5, "steps": ["boil"]}',
    ),
    (Aliased, Aliased(type="x"), '{"type": "x"}'),
    (Checked, Checked(low=1, high=2), '{"low": 1, "high": 2}'),
    (Node, Node(name="a", next=Node(name="b")), '{"name": "a", "next": {"name": "b", "next": null}}'),
    (Numbers, Numbers([1, 2]), "[1, 2]"),
    (Circle | Square, Square(kind="square", side=2), '{"kind": "square", "side": 2}'),
    (list[Recipe], [Recipe(title="Tea", minutes=5)], '[{"title": "Tea", "minutes": 5, "steps": []}]'),
    (Recipe | None, None, "null"),
    (Measured, Measured(size=3), '{"size": 3}'),
    (tuple[Person | Company, ...], (Company("X"),), '[{"title": "X", "people": []}]'),
    (
        Mixed,
        Mixed(Recipe(title="Tea", minutes=5), Point(1, 2), 0.5),
        '{"recipe": {"title": "Tea", "minutes": 5, "steps": []}, "point": {"x": 1, "y": 2}, "score": 0.5}',
    ),
]


def wrapped(declared: Any, text: str) -> str:
    """Return the JSON as a reply has it: what isn't an object is in one."""
    from tako.typed import reply_type_of

    return f'{{"value": {text}}}' if reply_type_of(declared).is_wrapped else text
