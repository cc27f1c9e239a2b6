"""The one exception for bad input, and how command lines show it."""

import contextlib
import functools
import io
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import get_close_matches

_LONGEST = 1200  # characters of a message


class InputError(ValueError):
    """Bad input: a file, a value or a combination of settings that cannot be used.

    The message is one line: it names what was received and says the way out. The middle of a very long one, that would
    quote a whole file, is left out.
    """

    def __init__(self, message: object):
        text = " ".join(str(message).splitlines())
        if len(text) > _LONGEST:
            text = f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 :]}"
        super().__init__(text)


@contextlib.contextmanager
def explained(said: str, *kinds: type[Exception]) -> Iterator[None]:
    """Context in which errors of these kinds (of none: OSError) become an `InputError`: `what`, and the reason."""
    kinds = kinds or (OSError,)
    try:
        yield
    except InputError:
        raise
    except kinds as error:
        raise InputError(f"{said}: {getattr(error, 'strerror', None) or error}") from error


def refusing(find: Callable[..., Iterable[str]]) -> Callable[..., None]:
    """Decorates a generator of what is wrong with its arguments: calling it raises InputError with the first."""

    @functools.wraps(find)
    def check(*args, **kwargs) -> None:
        for problem in find(*args, **kwargs):
            raise InputError(problem)

    return check


@refusing
def check_counts(options: object, *names: str) -> Iterator[str]:
    """Checks that these attributes, of a command line or of settings, are at least 1 where they are given."""
    for name in names:
        value = getattr(options, name)
        if value is not None and value < 1:
            yield f"--{name.replace('_', '-')} {value} must be at least 1"


def problems_of(check: Callable[[str], object], names: Iterable[str]) -> dict[str, str]:
    """Name -> the message, for those of the names for which `check` raises InputError."""
    found = {}
    for name in names:
        try:
            check(name)
        except InputError as error:
            found[name] = str(error)
    return found


def first_few(names: Sequence[str]) -> str:
    """Lists the first five of some names; what follows is an ellipsis."""
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``" (did you mean 'x'?)"`` for the closest of the known words, or an empty string."""
    matches = get_close_matches(word, list(known), n=1)
    return f" (did you mean {matches[0]!r}?)" if matches else ""


def run_cli(main: Callable[..., int | None]) -> Callable[..., int]:
    """Decorates a command line's ``main``: an `InputError` becomes one line on stderr and exit code 2.

    Ctrl-C ends it without a traceback, and with exit code 130, as shells know it. Characters that the output's encoding
    does not have are replaced.
    """

    @functools.wraps(main)
    def wrapped(*args, **kwargs) -> int:
        if isinstance(sys.stdout, io.TextIOWrapper):  # neither a notebook's nor none at all
            sys.stdout.reconfigure(errors="replace")  # stderr replaces of itself
        try:
            return main(*args, **kwargs) or 0
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print("stopped by Ctrl-C", file=sys.stderr)
            return 130
        except BrokenPipeError:
            # The reader of our output (say `head`) is gone: nothing to report, and nobody to report it to.
            sys.stderr.close()
            return 1

    return wrapped
