"""Named shelves of interchangeable parts: nets, losses, metrics, tasks, file formats, regimes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError

from .errors import ConfigError, closest

Part = TypeVar("Part")
Builder = TypeVar("Builder", bound=Callable[..., Any])


@dataclass(frozen=True)
class Entry(Generic[Part]):
    """One part on a shelf: its name, how to build it, and the papers behind it."""

    name: str
    build: Callable[..., Part]
    papers: tuple[str, ...]

    @property
    def summary(self) -> str:
        """First line of the builder's docstring."""
        return (inspect.getdoc(self.build) or "").split("\n")[0]


class Registry(Generic[Part]):
    """A shelf of parts of one kind, built by name.

    Args:
        kind: What messages call a part.
        checked: Whether options are held to the annotations of their builder, `Annotated[float, Field(ge=0)]` or plain.

    Example:
        >>> losses = Registry("loss")
        >>> @losses.register("dice", papers="milletari2016vnet")
        ... def dice(smooth: float = 1e-5): ...
        >>> loss = losses.build("dice", smooth=1.0)
    """

    def __init__(self, kind: str, checked: bool = False) -> None:
        self.kind = kind
        self.checked = checked
        self._entries: dict[str, Entry[Part]] = {}

    def register(self, name: str, papers: str | tuple[str, ...] = ()) -> Callable[[Builder], Builder]:
        """A decorator that puts a builder on the shelf.

        Raises:
            ConfigError: When the name is taken.
        """
        keys = (papers,) if isinstance(papers, str) else papers

        def shelve(build: Builder) -> Builder:
            if name in self._entries:
                raise ConfigError(f"{self.kind} {name!r} is already registered; choose another name.")
            self._entries[name] = Entry(name, build, keys)
            return build

        return shelve

    def build(self, name: str, **options: Any) -> Part:
        """The part called `name`, built with these options.

        Raises:
            ConfigError: When the name or an option is unknown, or a value does not fit its option.
        """
        entry = self[name]
        self._check_names(entry, options, inspect.signature(entry.build).parameters)
        if self.checked:
            self._check_values(entry, options)
        return entry.build(**options)

    def check(self, name: str, options: Mapping[str, Any], given: Collection[str]) -> None:
        """Refuse options that do not fit a part, without building it.

        Args:
            name: Of the part.
            options: What a person chose.
            given: Parameters of builders that are no options, since the caller fills them.

        Raises:
            ConfigError: When the name or an option is unknown, a value does not fit, or an option is missing.
        """
        entry = self[name]
        parameters = inspect.signature(entry.build).parameters
        own = {key: value for key, value in parameters.items() if key not in given}
        self._check_names(entry, options, own)
        self._check_values(entry, options)
        for option, parameter in own.items():
            if parameter.default is parameter.empty and option not in options:
                raise ConfigError(f"{self.kind} {name!r} needs the option {option!r}, which has no usual value.")

    def _check_names(self, entry: Entry[Part], options: Mapping[str, Any], accepted: Collection[str]) -> None:
        for option in options:
            if option not in accepted:
                raise ConfigError(
                    f"{self.kind} {entry.name!r} has no option {option!r}.{closest(option, accepted)}"
                    f" Options: {', '.join(accepted) or 'none'}."
                )

    def _check_values(self, entry: Entry[Part], options: Mapping[str, Any]) -> None:
        kinds = annotations_of(entry.build)
        for option, value in options.items():
            try:
                TypeAdapter(kinds.get(option, Any)).validate_python(value)
            except ValidationError as error:
                problem = f"{option} = {value!r} does not fit: {error.errors()[0]['msg']}."
                raise ConfigError(f"{self.kind} {entry.name!r}: {problem}") from None

    def __getitem__(self, name: str) -> Entry[Part]:
        if name not in self._entries:
            raise ConfigError(
                f"No {self.kind} is called {name!r}.{closest(name, self._entries)} Known: {', '.join(self)}."
            )
        return self._entries[name]

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def __len__(self) -> int:
        return len(self._entries)


def annotations_of(build: Callable[..., Any]) -> dict[str, Any]:
    """What each option of a part must be, as it is annotated.

    Raises:
        ConfigError: When an annotation names what its module has not imported.
    """
    try:
        source = build.__init__ if isinstance(build, type) else build  # type: ignore[misc]
        return get_type_hints(source, include_extras=True)
    except NameError as error:
        raise ConfigError(
            f"{build.__module__}: the options of {build.__name__} cannot be checked, since their annotations name "
            f"{error.name}, which is not imported there when the module runs; import it."
        ) from None
