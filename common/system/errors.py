"""Errors that a user can correct: one sentence, exit status 2, no traceback."""

import difflib
import errno
import os
import sys
from collections.abc import Callable, Sequence

from common.system.terminal import printable, write_whatever_the_encoding


class UserError(Exception):
    """Says in one sentence what is wrong and what to do about it."""


class LocalUserError(UserError):
    """A UserError that may reach a single process, such as memory that ran out: that process prints it.

    Every other UserError reaches all processes, and rank 0 prints it.
    """


class Interrupted(Exception):
    """The run stopped on a signal, after it had committed a checkpoint.

    `status` is the exit status that the shell convention asks for (128 + signal number).
    """

    def __init__(self, message: str, status: int):
        super().__init__(message)
        self.status = status


# What to do about an error of the file system, by its number.
FREE_SPACE = "free some space; KIT_CACHE moves the cache, --output_dir the runs"
PERMISSIONS = "check the permissions; KIT_CACHE moves the cache, --output_dir the runs"
NO_FILE = "a folder stands where a file is needed: remove it, or choose another name"
NO_FOLDER = "a file stands where a folder is needed: choose another --output_dir or KIT_CACHE"
ADVICE = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), FREE_SPACE),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), PERMISSIONS),
    **dict.fromkeys((errno.ENOTDIR, errno.EEXIST), NO_FOLDER),
    errno.EISDIR: NO_FILE,
}


def exit_with_sentence(main: Callable[[], None]) -> None:
    """Run `main`; turn the errors that a user can cause into a sentence on stderr and exit status 2.

    With `--debug` on the command line (or `KIT_DEBUG=1`) the traceback is shown instead.
    """
    write_whatever_the_encoding()
    debug = "--debug" in sys.argv or os.environ.get("KIT_DEBUG") == "1"
    try:
        try:
            main()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # who reads has enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    except Interrupted as stop:
        _leave(str(stop), stop.status)
    except KeyboardInterrupt:
        _leave("stopped by Ctrl-C.", 130)
    except UserError as error:
        if debug:
            raise
        _leave(f"error: {error}", 2, everywhere=isinstance(error, LocalUserError))
    except OSError as error:
        if debug or error.errno not in ADVICE:
            raise
        where = f" ({error.filename})" if error.filename else ""
        _leave(f"error: {error.strerror}{where}: {ADVICE[error.errno]}.", 2, everywhere=True)


def nearest(name: str, known: Sequence[str]) -> str:
    """' (did you mean …?)' for the closest of the `known` names, or nothing."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f" (did you mean {close[0]}?)" if close else ""


def _leave(sentence: str, status: int, everywhere: bool = False) -> None:
    """Print the sentence on rank 0; with `everywhere`, on every rank that gets here, prefixed with the rank."""
    rank = os.environ.get("RANK", "0")
    if rank == "0" or everywhere:
        sentence = printable(sentence if rank == "0" else f"process {rank}: {sentence}")
        print(sentence, file=sys.stderr, flush=True)
    raise SystemExit(status)
