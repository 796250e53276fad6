"""Loads the application, and what of serving it is not on the path of a request.

Run once by boot.rs, in a namespace of its own; frames of this file are cut from tracebacks.
"""

import difflib
import faulthandler
import importlib
import importlib.util
import inspect
import io
import os
import platform
import signal
import sys
import tempfile
import threading
import traceback

# Kinds of failure, as in quaich_proto::worker::boot.
IMPORT, CALLABLE, FACTORY, NOT_WSGI, ASGI, SETUP = range(6)

errors = open(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


class LoadError(Exception):
    def __init__(self, kind, message, cause=None):
        super().__init__(message)
        self.kind = kind
        self.cause = cause


def prepare(directory, name, dump_signal):
    """Everything that must stand before the first line of the user's code runs."""
    keep_signals()
    faulthandler.enable(errors)
    faulthandler.register(dump_signal, file=errors, all_threads=True)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")
    sys.argv = [name]
    try:
        os.chdir(directory)
    except OSError as error:
        raise LoadError(SETUP, f"cannot use the working directory: {error}") from None
    sys.path[:] = [entry for entry in sys.path if entry != ""]
    put_first(directory)


def keep_signals():
    # The supervisor decides when a worker ends; a terminal's ^C reaches the whole group. Handlers,
    # not SIG_IGN: programs that the application starts must not inherit deafness.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, lambda *_: None)
    os.register_at_fork(after_in_child=default_signals)


def default_signals():
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def put_first(directory):
    if not sys.path or sys.path[0] != directory:
        sys.path.insert(0, directory)


def load(target, is_file, callable_name, factory):
    """The application and what it is called, as `module:callable`."""
    module = import_file(target) if is_file else import_module(target)
    if callable_name.endswith("()"):
        callable_name, factory = callable_name[:-2], True
    name, found = find(module, callable_name)
    if factory:
        found = call_factory(found, name)
    check(found, name, factory)
    return found, f"{module.__name__}:{name}{'()' if factory else ''}"


def import_module(name):
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # Only the module itself, or a package around it: not what it imports.
        if error.name is None or not (name + ".").startswith(error.name + "."):
            raise LoadError(IMPORT, f"importing {name} raised {brief(error)}", error) from None
        raise LoadError(IMPORT, f"there is no module named {error.name!r}") from None
    except BaseException as error:
        raise LoadError(IMPORT, f"importing {name} raised {brief(error)}", error) from None


def import_file(path):
    put_first(os.path.dirname(path))
    name = os.path.splitext(os.path.basename(path))[0]
    if not name.isidentifier() or name in sys.modules or name in sys.stdlib_module_names:
        name = "quaich_app"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None:
        raise LoadError(IMPORT, f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except FileNotFoundError as error:
        if error.filename == path:
            raise LoadError(IMPORT, f"there is no file {path}") from None
        raise LoadError(IMPORT, f"importing {path} raised {brief(error)}", error) from None
    except BaseException as error:
        raise LoadError(IMPORT, f"importing {path} raised {brief(error)}", error) from None
    return module


def find(module, name):
    if not name:
        for name in ("application", "app"):
            if hasattr(module, name):
                return name, getattr(module, name)
        raise LoadError(
            CALLABLE,
            f"{module.__name__} has neither `application` nor `app`"
            f"{suggestion('application', module)}",
        )
    found = module
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            where = getattr(found, "__name__", type(found).__name__)
            text = f"{where} has no attribute {part!r}{suggestion(part, found)}"
            raise LoadError(CALLABLE, text) from None
    return name, found


def suggestion(name, owner):
    callables = [
        other
        for other, value in vars(owner).items()
        if not other.startswith("_") and callable(value) and not inspect.isclass(value)
    ] if hasattr(owner, "__dict__") else []
    near = difflib.get_close_matches(name, callables, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def call_factory(factory, name):
    if not callable(factory):
        raise LoadError(FACTORY, f"{name} is {kind_of(factory)}, which cannot be called")
    try:
        return factory()
    except BaseException as error:
        raise LoadError(FACTORY, f"{name}() raised {brief(error)}", error) from None


def check(application, name, factory):
    called = f"{name}()" if factory else name
    call = getattr(application, "__call__", None)
    if inspect.iscoroutinefunction(application) or inspect.iscoroutinefunction(call):
        raise LoadError(ASGI, f"{called} is an ASGI application, this version serves WSGI only")
    if inspect.ismodule(application) or not callable(application):
        text = f"{called} is {kind_of(application)}, not a WSGI application"
        raise LoadError(NOT_WSGI, text)
    try:
        inspect.signature(application).bind(None, None)
    except TypeError:
        hint = "" if factory else f"; if it makes the application, say {name}()"
        text = f"{called} does not take (environ, start_response){hint}"
        raise LoadError(NOT_WSGI, text) from None
    except ValueError:
        pass  # a callable without a signature, written in C


def kind_of(value):
    if value is None:
        return "None"
    if inspect.ismodule(value):
        return f"the module {value.__name__}"
    return f"of type {type(value).__name__}"


def brief(error):
    return traceback.format_exception_only(type(error), error)[-1].strip()


def failure(error):
    """What the supervisor is told: kind, message, traceback, python, version, dir, sys.path."""
    if isinstance(error, LoadError):
        kind, message, cause = error.kind, str(error), error.cause
    else:
        kind, message, cause = SETUP, brief(error), error
    trace = format_trace(cause) if cause is not None else ""
    texts = [message, trace, sys.executable or "", platform.python_version(), os.getcwd()]
    texts += [str(entry) for entry in sys.path]
    return kind, [text.encode("utf-8", "replace").decode() for text in texts]


def format_trace(error):
    """The traceback without our frames and without those of the import machinery."""
    whole = traceback.TracebackException(type(error), error, error.__traceback__)
    seen = set()
    waiting = [whole]
    while waiting:
        part = waiting.pop()
        if part is None or id(part) in seen:
            continue
        seen.add(id(part))
        part.stack[:] = [frame for frame in part.stack if not is_foreign(frame.filename)]
        waiting += [part.__cause__, part.__context__]
    return "".join(whole.format())


def is_foreign(filename):
    return (
        filename == __file__
        or filename.startswith("<frozen importlib")
        or filename == importlib.__file__
    )


def log_exception(error, request):
    """One exception of one request, in one write so that threads do not mix their lines."""
    errors.write(f"quaich: {request}: the application raised\n{format_trace(error)}")


def python_name():
    return f"{platform.python_implementation()} {platform.python_version()}"


def start_thread(number, run):
    """A thread that Python knows by name. A daemon: who leaves at once does not wait for it."""
    thread = threading.Thread(target=run, name=f"quaich-{number}", daemon=True)
    thread.start()
    return thread


class FileWrapper:
    """`wsgi.file_wrapper` (PEP 3333, "Optional Platform-Specific File Handling")."""

    def __init__(self, filelike, block_size=8192):
        self.filelike = filelike
        self.block_size = block_size
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self):
        return self

    def __next__(self):
        block = self.filelike.read(self.block_size)
        if block:
            return block
        raise StopIteration


def file_place(wrapper):
    """(descriptor, offset) if reading the object is reading a file's bytes, else ()."""
    file = wrapper.filelike
    for _ in range(3):
        if type(file) in (io.BufferedReader, io.BufferedRandom, io.FileIO):
            break
        inner = getattr(file, "file", None)
        same = isinstance(file, tempfile._TemporaryFileWrapper)
        if inner is None or not (same or getattr(file, "read", None) == inner.read):
            return ()
        file = inner
    try:
        if type(file) is io.BufferedRandom:
            file.flush()
        raw = getattr(file, "raw", file)
        if type(raw) is not io.FileIO or not raw.readable():
            return ()
        return file.fileno(), file.tell()
    except (OSError, ValueError):
        return ()  # a pipe, or closed
