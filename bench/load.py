"""The load generators and what they count: wrk, h2load, OpenSSL's s_time, echoes, and idle connections.

A generator of load takes the scenario, the port, seconds and a scratch folder, and returns requests
done, seconds, the 99th percentile in seconds (None = not known) and errors.
"""
import functools
import os
import re
import socket
import ssl
import struct
import subprocess
import sys
import time

import machine

CORE = 1


def _run(argv):
    return subprocess.run(["taskset", "-c", str(CORE), *argv], capture_output=True, text=True, check=True).stdout


def _url(s, port):
    return f"{'https' if s.tls else 'http'}://127.0.0.1:{port}{s.path}"


def _seconds(text):
    number, unit = re.match(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60}[unit]


def wrk(s, port, duration, folder):
    argv = ["wrk", "-t1", f"-c{s.connections}", f"-d{duration}s", "--latency"]
    if s.packed:
        argv += ["-H", "Accept-Encoding: gzip"]
    script = "post.lua" if s.post else s.script
    if script:
        argv += ["-s", f"{folder}/{script}"]
    out = _run([*argv, _url(s, port)])
    done, took = re.search(r"(\d+) requests in ([\d.]+\w+),", out).groups()
    wrong = sum(int(n) for n in re.findall(r"Non-2xx or 3xx responses: (\d+)", out))
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
    wrong += sum(map(int, broken.groups())) if broken else 0
    p99 = _seconds(re.search(r"^\s+99%\s+(\S+)", out, re.M)[1])
    return int(done), _seconds(took), p99, wrong


def h2load(s, port, duration, folder):
    log = f"{folder}/h2load.log"
    open(log, "w").close()
    begun = time.monotonic()
    out = _run(["h2load", "-t1", f"-c{s.connections}", "-m32", "-D", str(duration), "--log-file", log, _url(s, port)])
    took = time.monotonic() - begun
    done, failed, errored = map(int, re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored", out).groups())
    with open(log) as f:
        times = sorted(int(line.split()[2]) for line in f)
    return done, took, times[len(times) * 99 // 100] / 1e6 if times else None, failed + errored


def s_time(s, port, duration, _folder):
    """New connections with a full handshake each, from four processes."""
    argv = ["taskset", "-c", str(CORE), "openssl", "s_time", "-connect", f"127.0.0.1:{port}", "-new", "-tls1_3",
            "-time", str(duration)]
    begun = time.monotonic()
    procs = [subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    said = [p.communicate() for p in procs]
    took = time.monotonic() - begun
    done = sum(int(re.search(r"(\d+) connections in [\d.]+s;", out)[1]) for out, _ in said)
    return done, took, None, sum("ERROR" in err for _, err in said)


ECHO_SIZE = 65536


def echo(s, port, duration, _folder):
    """Sends 64 KiB over each connection, reads them back, and again."""
    program = f"import sys; sys.path.insert(0, {os.path.dirname(__file__)!r}); import echo; " \
              f"print(*echo.ask({port}, {s.connections}, {ECHO_SIZE}, {duration}))"
    done, took, wrong = _run([sys.executable, "-c", program]).split()
    return int(done), float(took), None, int(wrong)


GENERATORS = {"wrk": wrk, "h2load": h2load, "s_time": s_time, "echo": echo}


# ---------------------------------------------------------------------------------- idle connections

def idle(s, port, pids):
    """PSS that each idle connection adds, after one answer on each."""
    start = machine.memory_kib(pids)
    held = [_idle_connection(s, port) for _ in range(50)]
    time.sleep(1)
    base = machine.memory_kib(pids)
    held += [_idle_connection(s, port) for _ in range(s.connections)]
    time.sleep(1)
    full = machine.memory_kib(pids)
    for connection in held:
        connection.close()
    return {"kib": (full - base) / s.connections, "start_mib": start / 1024, "full_mib": full / 1024}


def context(s):
    return _context("h2" if s.h2 else "http/1.1")


@functools.cache
def _context(protocol):
    """One for all connections: thousands of them would take minutes and memory to make."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    made.set_alpn_protocols([protocol])
    return made


def connect(s, port):
    c = socket.create_connection(("127.0.0.1", port), 10)
    return context(s).wrap_socket(c, server_hostname="localhost") if s.tls else c


def _idle_connection(s, port):
    c = connect(s, port)
    ask = _ask_h2 if s.h2 else _ask_h1
    got = ask(c, s)
    while got.count(b"x") < s.size:
        part = c.recv(65536)
        if not part:
            raise RuntimeError("closed an idle connection")
        got += part
    return c


def _ask_h1(c, s):
    c.sendall(f"GET {s.path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return b""


def _ask_h2(c, s):
    """A request in HTTP/2 by hand: preface, SETTINGS, HEADERS with END_STREAM, the ACK of the server's SETTINGS."""
    path = s.path.encode()
    fields = b"\x82\x87\x04" + bytes([len(path)]) + path + b"\x41\x09localhost"
    frame = lambda kind, flags, stream, body: struct.pack(">I", len(body))[1:] + bytes([kind, flags]) + struct.pack(
        ">I", stream) + body
    c.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") + frame(1, 5, 1, fields) + frame(4, 1, 0, b""))
    return b""
