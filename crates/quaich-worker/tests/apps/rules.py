"""Applications that keep or break the rules of WSGI, one for each path."""

import atexit
import ctypes
import io
import json
import os
import subprocess
import sys
import tempfile
import threading

events = []
atexit.register(lambda: print("at exit", file=sys.stderr))


def application(environ, start_response):
    name = environ["PATH_INFO"].strip("/").replace("/", "_") or "hello"
    return globals()["on_" + name](environ, start_response)


def plain(start_response, status="200 OK", headers=()):
    return start_response(status, [("Content-Type", "text/plain"), *headers])


def on_hello(environ, start_response):
    plain(start_response)
    return [b"hello\n"]


def on_environ(environ, start_response):
    plain(start_response)
    shown = {key: value for key, value in environ.items() if isinstance(value, (str, bool, tuple))}
    shown["types"] = sorted({type(key).__name__ for key in environ})
    shown["exactly dict"] = type(environ) is dict
    return [json.dumps(shown).encode()]


def on_input(environ, start_response):
    stream = environ["wsgi.input"]
    plain(start_response)
    seen = [
        stream.read(2),
        stream.readline(),
        stream.readline(3),
        stream.readline(None),
        stream.readlines(1),
        next(stream),
        list(stream),
        stream.read(),
        stream.read(5),
        stream.readline(),
        stream.readlines(),
        stream.read(-1),
    ]
    return [repr(seen).encode()]


def on_echo(environ, start_response):
    plain(start_response)
    body = environ["wsgi.input"].read()
    return [body, b"|", environ.get("CONTENT_LENGTH", "none").encode()]


def on_generator(environ, start_response):
    plain(start_response)
    yield b""
    yield b"one"
    yield b""
    yield b"two"


def on_late(environ, start_response):
    yield b""
    plain(start_response, "201 Created")
    yield b"late"


def on_write(environ, start_response):
    write = plain(start_response)
    write(b"first ")
    write(b"second ")
    return [b"third"]


def on_list(environ, start_response):
    plain(start_response)
    return [b"a", b"", b"bc"]


def on_iterator(environ, start_response):
    plain(start_response)
    return Closing(iter([b"only"]))


class Closing:
    def __init__(self, items, fail=False):
        self.items = items
        self.fail = fail

    def __iter__(self):
        return self.items

    def close(self):
        events.append("closed")
        if self.fail:
            raise ValueError("close failed")


def on_events(environ, start_response):
    plain(start_response)
    body = ",".join(events).encode()
    events.clear()
    return [body]


def on_close_raises(environ, start_response):
    plain(start_response)
    return Closing(iter([b"body"]), fail=True)


def on_raise(environ, start_response):
    raise LookupError("no such thing")


def on_raise_midway(environ, start_response):
    plain(start_response)

    def body():
        yield b"some"
        raise LookupError("broke off")

    return Closing(body())


def on_no_start(environ, start_response):
    return [b"body"]


def on_none(environ, start_response):
    plain(start_response)


def on_str(environ, start_response):
    plain(start_response)
    return "text"


def on_bytes(environ, start_response):
    plain(start_response)
    return b"text"


def on_str_item(environ, start_response):
    plain(start_response)
    return ["text"]


def on_twice(environ, start_response):
    plain(start_response)
    plain(start_response)
    return []


def on_replaced(environ, start_response):
    plain(start_response)
    try:
        raise ValueError("inner")
    except ValueError:
        start_response("503 Sorry", [("X-Kind", "error")], exc_info=sys.exc_info())
    return [b"sorry"]


def on_too_late(environ, start_response):
    write = plain(start_response)
    write(b"already out")
    try:
        raise ValueError("inner problem")
    except ValueError:
        start_response("500 Oops", [], sys.exc_info())
    return [b"never"]


def on_headers(environ, start_response):
    status, headers = eval(environ["QUERY_STRING"])
    start_response(status, headers)
    return [b"body"]


def on_long(environ, start_response):
    plain(start_response, headers=[("Content-Length", "3")])
    return iter([b"ab", b"cdef", b"gh"])


def on_short(environ, start_response):
    plain(start_response, headers=[("Content-Length", "10")])
    return iter([b"ab", b"cd"])


def on_empty(environ, start_response):
    plain(start_response, environ["QUERY_STRING"])
    return []


def on_status(environ, start_response):
    plain(start_response, environ["QUERY_STRING"])
    return [b"body"]


def on_wrapped_file(environ, start_response):
    plain(start_response)
    file = tempfile.TemporaryFile()
    file.write(b"0123456789")
    file.seek(3)
    return environ["wsgi.file_wrapper"](file)


def on_wrapped_file_length(environ, start_response):
    plain(start_response, headers=[("Content-Length", "4")])
    file = tempfile.NamedTemporaryFile()
    file.write(b"0123456789")
    file.flush()
    file.seek(3)
    return environ["wsgi.file_wrapper"](file, 100)


def on_wrapped_memory(environ, start_response):
    plain(start_response)
    return environ["wsgi.file_wrapper"](io.BytesIO(b"x" * 20000))


def on_wrapped_gzip(environ, start_response):
    import gzip

    with tempfile.NamedTemporaryFile() as packed:
        packed.write(gzip.compress(b"unpacked"))
        packed.flush()
        plain(start_response)
        return environ["wsgi.file_wrapper"](gzip.open(packed.name))


def on_big(environ, start_response):
    plain(start_response)
    return [bytes(range(256)) * 4096]


def on_forever(environ, start_response):
    plain(start_response)

    def body():
        try:
            while True:
                yield b"x" * 1000
        finally:
            events.append("ended")

    return body()


def on_exit(environ, start_response):
    sys.exit("enough")


def on_cancelled(environ, start_response):
    import asyncio

    raise asyncio.CancelledError


kept = {}


def on_keep(environ, start_response):
    kept.update(start_response=start_response, write=plain(start_response), environ=environ)
    return [b"kept"]


def on_kept(environ, start_response):
    plain(start_response)
    said = []
    for use in (
        lambda: kept["start_response"]("200 OK", []),
        lambda: kept["write"](b"stray"),
        lambda: kept["environ"]["wsgi.input"].read(),
    ):
        try:
            use()
            said.append("worked")
        except Exception as error:
            said.append(type(error).__name__)
    return [",".join(said).encode()]


def on_other_thread(environ, start_response):
    said = []

    def body():
        try:
            start_response("200 OK", [])
        except RuntimeError as error:
            said.append(str(error))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    plain(start_response)
    return [said[0].encode()]


def on_thread_name(environ, start_response):
    plain(start_response)
    return [threading.current_thread().name.encode()]


def on_errors(environ, start_response):
    errors = environ["wsgi.errors"]
    errors.write("written é \udcff\n")
    errors.writelines(["two ", "parts\n"])
    errors.flush()
    plain(start_response)
    return [b"ok"]


def on_rss(environ, start_response):
    import gc

    gc.collect()
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[1])
    plain(start_response)
    return [str(pages * os.sysconf("SC_PAGESIZE")).encode()]


def on_sleep(environ, start_response):
    events.append("in")
    gate.wait()
    plain(start_response)
    return [b"woken"]


gate = threading.Event()


def on_gate(environ, start_response):
    gate.set()
    plain(start_response)
    return [b"open"]


def on_getpid(environ, start_response):
    plain(start_response)
    return [str(os.getpid()).encode()]


def on_terminate_child(environ, start_response):
    child = subprocess.Popen(["sleep", "60"])
    child.terminate()
    plain(start_response)
    return [str(child.wait()).encode()]


def on_keep_gil(environ, start_response):
    print("keeping the GIL", file=sys.stderr)
    ctypes.PyDLL(None).sleep(60)
