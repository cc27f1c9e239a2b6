"""The one exception for bad input, and how command lines show it."""

import contextlib
import functools
import sys
from collections.abc import Callable, Iterable
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


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``" (did you mean 'x'?)"`` for the closest of the known words, or an empty string."""
    matches = get_close_matches(word, list(known), n=1)
    return f" (did you mean {matches[0]!r}?)" if matches else ""


def _replace_what_cannot_be_printed() -> None:
    with contextlib.suppress(AttributeError):  # no output at all, or a notebook's
        sys.stdout.reconfigure(errors="replace")  # stderr replaces of itself


def run_cli(main: Callable[..., int | None]) -> Callable[..., int]:
    """Decorates a command line's ``main``: an `InputError` becomes one line on stderr and exit code 2.

    Ctrl-C ends it without a traceback, and with exit code 130, as shells know it. Characters that the output's encoding
    does not have are replaced.
    """

    @functools.wraps(main)
    def wrapped(*args, **kwargs) -> int:
        _replace_what_cannot_be_printed()
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
