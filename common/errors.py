"""Errors that are the user's to mend: one sentence, exit status 2, no traceback."""

import errno
import os
import sys
from collections.abc import Callable


class UserError(Exception):
    """Says in one sentence what is wrong and what to do about it."""


class Interrupted(Exception):
    """The run stopped on a signal, after it had committed a checkpoint.

    `status` is the exit status that the shell convention asks for (128 + signal number).
    """

    def __init__(self, message: str, status: int):
        super().__init__(message)
        self.status = status


def exit_with_sentence(main: Callable[[], None]) -> None:
    """Run `main`; turn the errors that a user can cause into a sentence on stderr and exit status 2.

    With `--debug` on the command line (or `KIT_DEBUG=1`) the traceback is shown instead.
    """
    debug = "--debug" in sys.argv or os.environ.get("KIT_DEBUG") == "1"
    try:
        main()
    except Interrupted as stop:
        _leave(str(stop), stop.status)
    except KeyboardInterrupt:
        _leave("stopped by Ctrl-C.", 130)
    except UserError as error:
        if debug:
            raise
        _leave(f"error: {error}", 2)
    except OSError as error:
        if debug or error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise
        where = f" ({error.filename})" if error.filename else ""
        _leave(f"error: {error.strerror}{where}: free some space or choose another --output_dir.", 2)


def _leave(sentence: str, status: int) -> None:
    if os.environ.get("RANK", "0") == "0":  # of several processes one speaks
        print(sentence, file=sys.stderr, flush=True)
    raise SystemExit(status)
