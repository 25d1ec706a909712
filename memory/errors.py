"""Every fault that memory can raise, as one tree; a class's docstring is its default message."""


class MemoryFault(Exception):
    """Memory failed."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip())


class StoreUnavailable(MemoryFault):
    """A store cannot be reached; try again later."""


class StoreTimeout(StoreUnavailable):
    """A store did not answer within its hard limit."""


class StoreStarting(StoreUnavailable):
    """A store is just starting; try again in a moment."""


class StoreRefused(MemoryFault):
    """A store answers, and refuses this: the same again would be refused again."""


class TurnVoid(MemoryFault):
    """These words are kept nowhere: their person was erased after they were said, or had said no before."""

    def __init__(self, message: str | None = None, *, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused
        """They are void because of a no alone: nothing was erased or forgotten."""


class ModelUnavailable(MemoryFault):
    """The model provider is down, slow or over its quota; try again later."""


class ModelAnswerInvalid(MemoryFault):
    """The model answered something that is not what was asked for."""


class UserUnknown(MemoryFault):
    """Nothing is known about this user."""


class ConfigInvalid(MemoryFault):
    """A setting is missing or wrong."""


class SchemaMismatch(MemoryFault):
    """The database does not fit this version of Echoic."""
