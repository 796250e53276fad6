#!/usr/bin/env python3
"""Measures quaich beside its peers on a machine of two cores; see README.md in this folder.

Called by `cargo xtask bench`, which builds the release program and passes its path in QUAICH.
Python's standard library only; Linux only. Stops all that it started, also when it is interrupted.
"""
import argparse
import contextlib
import gzip
import http.client
import json
import os
import platform
import random
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from types import SimpleNamespace

import load
import machine
from contenders import CONTENDERS, find

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
PEERS = os.path.join(ROOT, ".test", "peers")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


PORT, ORIGIN, ECHO = free_port(), free_port(), free_port()
# The origin listens on four, for a front that balances.
ORIGINS = [ORIGIN, free_port(), free_port(), free_port()]
CONTENDER_CORE, LOAD_CORE = 0, 1


def scenario(kind, path="/", size=None, post=0, app=None, load="wrk", connections=64, tls=False, h2=False,
             packed=None, script=None):
    return SimpleNamespace(**locals())


# Bytes of the page that is compressed.
PAGE = 100 * 1024

SCENARIOS = {
    "return200": scenario("return"),
    "filters-none": scenario("filters-none"),
    "filters-ten": scenario("filters-ten"),
    "rate-limited": scenario("limited", script="addresses.lua"),
    "proxy-1k": scenario("proxy", "/1k", size=1024),
    "proxy-100k": scenario("proxy", "/100k.bin", size=102400),
    "proxy-post-16k": scenario("proxy", "/post", post=16384),
    "static-1k": scenario("static", "/1k.txt", size=1024),
    "static-1m": scenario("static", "/1m.bin", size=1 << 20),
    "gzip-100k": scenario("gzip", "/page.json", packed=PAGE),
    "gzip-100k-fast": scenario("gzip-fast", "/page.json", packed=PAGE),
    "wsgi-hello": scenario("wsgi", app="hello"),
    "wsgi-flask": scenario("wsgi", app="flaskapp"),
    "tls-proxy-1k": scenario("proxy", "/1k", size=1024, tls=True),
    "tls-handshakes": scenario("proxy", "/1k", size=1024, tls=True, load="s_time"),
    "tls-download-100m": scenario("static", "/100m.bin", size=100 << 20, tls=True, connections=2),
    "h2-return200": scenario("return", tls=True, h2=True, load="h2load", connections=16),
    "h2-proxy-1k": scenario("proxy", "/1k", size=1024, tls=True, h2=True, load="h2load", connections=16),
    "uwsgi-1k": scenario("uwsgi", "/", size=1024),
    "fastcgi-1k": scenario("fastcgi", "/1k", size=1024),
    "balance-1k": scenario("balance", "/1k", size=1024),
    "tcp-64k": scenario("tcp", load="echo"),
    "idle-memory": scenario("proxy", "/1k", size=1024, load="idle", connections=8000),
    "idle-memory-tls": scenario("proxy", "/1k", size=1024, load="idle", connections=2000, tls=True),
    "idle-memory-h2": scenario("proxy", "/1k", size=1024, load="idle", connections=2000, tls=True, h2=True),
}


# -------------------------------------------------------------------------------------- processes

def spawn(argv, core, log):
    return subprocess.Popen(["taskset", "-c", str(core), *argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                            start_new_session=True)


def stop(procs):
    pids = machine.tree([p.pid for p in procs])
    for p in reversed(procs):
        p.terminate()
    for p in procs:
        with contextlib.suppress(subprocess.TimeoutExpired):
            p.wait(4)
    for pid in pids:
        with contextlib.suppress(OSError):
            if machine.parent(pid) in (1, os.getpid(), *pids):
                os.kill(pid, signal.SIGKILL)
    for p in procs:
        p.wait()


def wait_for(what, ready, procs, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if any(p.poll() is not None for p in procs):
            raise RuntimeError("it ended at start")
        if ready():
            return
        time.sleep(0.02)
    raise RuntimeError(f"no {what} within {seconds} s")


def listens(port):
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    return False


# ---------------------------------------------------------------------------------------- fixtures

def fixtures(folder):
    root = os.path.join(folder, "root")
    os.mkdir(root)
    for name, data in {"1k.txt": b"x" * 1024, "1m.bin": os.urandom(1 << 20), "100k.bin": os.urandom(102400),
                       "100m.bin": os.urandom(1 << 20) * 100, "page.json": page()}.items():
        with open(os.path.join(root, name), "wb") as f:
            f.write(data)
    with open(os.path.join(folder, "origin.conf"), "w") as f:
        f.write(f"""
daemon off; worker_processes 1; pid {folder}/origin.pid; error_log {folder}/origin.log;
events {{ worker_connections 15000; }}
http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; keepalive_timeout 1000;
  default_type text/plain; types {{ application/json json; }} client_body_buffer_size 64k; client_body_temp_path {folder}/ob;
  server {{ {' '.join(f'listen 127.0.0.1:{port} backlog=4096;' for port in ORIGINS)} root {root}; open_file_cache max=100 inactive=1000s;
    location = /1k {{ return 200 "{'x' * 1024}"; }}
    location = /post {{ return 200 "ok"; }} }} }}
""")
    certificate(folder)
    with open(os.path.join(folder, "post.lua"), "w") as f:
        f.write('wrk.method = "POST"\nwrk.body = string.rep("x", 16384)\n')
    with open(os.path.join(folder, "addresses.lua"), "w") as f:
        # 50,000 clients, each as often as the others; made before the load.
        f.write("""
local texts, last = {}, 0
function init()
  for i = 0, 49999 do
    local address = string.format("10.%d.%d.%d", i % 7, math.floor(i / 256), i % 256)
    texts[i] = wrk.format("GET", "/", { ["Host"] = "a", ["X-Forwarded-For"] = address })
  end
end
function request()
  last = (last + 1) % 50000
  return texts[last]
end
""")
    return root


def page():
    """Rows of JSON, PAGE bytes of them, the same in every run."""
    chance = random.Random(1)
    words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(3, 9))) for _ in range(600)]
    rows = [{"id": n, "name": " ".join(chance.choices(words, k=3)), "price": round(chance.random() * 1000, 2),
             "tags": chance.sample(words, 4), "active": chance.random() < .5} for n in range(2000)]
    return (json.dumps(rows)[:PAGE - 1] + "]").encode()


def certificate(folder):
    """ECDSA P-256: crt.pem, key.pem, and both in one file for HAProxy."""
    crt, key = f"{folder}/crt.pem", f"{folder}/key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", key, "-out", crt, "-days", "30", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-addext", "basicConstraints=critical,CA:FALSE"], check=True, stderr=subprocess.DEVNULL)
    with open(f"{folder}/both.pem", "w") as both:
        for part in (crt, key):
            with open(part) as f:
                both.write(f.read())


def check_reply(s):
    """One request before the load: the answer must be the right one."""
    if s.tls:
        with load.connect(s, PORT) as c:
            if c.version() != "TLSv1.3" or (s.h2 and c.selected_alpn_protocol() != "h2"):
                raise RuntimeError(f"speaks {c.version()}, ALPN {c.selected_alpn_protocol()}")
    if s.h2 or s.kind == "tcp":
        return
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=10)
    if s.tls:
        connection = http.client.HTTPSConnection("127.0.0.1", PORT, timeout=10, context=load.context(s))
    for _ in range(3):
        fields = {"Accept-Encoding": "gzip"} if s.packed else {}
        connection.request("POST" if s.post else "GET", s.path, body=b"x" * s.post if s.post else None, headers=fields)
        reply = connection.getresponse()
        body = reply.read()
    connection.close()
    sent = len(body)
    if s.packed:
        body = gzip.decompress(body) if reply.getheader("Content-Encoding") == "gzip" else b""
    size = s.packed or s.size
    if reply.status != 200 or (size is not None and len(body) != size):
        raise RuntimeError(f"answers {reply.status} with {len(body)} bytes")
    return sent


def backend(s, folder):
    """The command line of what stands behind the fronts of this scenario, beside the origin."""
    at = f"{folder}/backend.sock"
    if s.kind == "uwsgi":
        return [find("uwsgi-core"), "--plugin", "python3", "--master", "--processes", "2", "--need-app",
                "--disable-logging", "--listen", "128", "--die-on-term", "--pythonpath", os.path.join(HERE, "apps"),
                "--module", "kilobyte:application", "--socket", at]
    if s.kind == "fastcgi":
        return [sys.executable, os.path.join(HERE, "fastcgi.py"), at]
    if s.kind == "tcp":
        return [sys.executable, os.path.join(HERE, "echo.py"), str(ECHO)]
    return None


@contextlib.contextmanager
def behind(s, folder):
    """Runs the backend of a scenario, on the core of the load."""
    argv = backend(s, folder)
    if not argv:
        yield
        return
    with open(f"{folder}/backend.out", "wb") as log:
        proc = spawn(argv, LOAD_CORE, log)
        try:
            up = (lambda: listens(ECHO)) if s.kind == "tcp" else (lambda: os.path.exists(f"{folder}/backend.sock"))
            wait_for("backend", up, [proc])
            yield
        finally:
            stop([proc])
            with contextlib.suppress(OSError):
                os.unlink(f"{folder}/backend.sock")


# -------------------------------------------------------------------------------------------- load

def measure_load(s, pids, duration, folder):
    generate = load.GENERATORS[s.load]
    generate(s, PORT, 1, folder)
    before = machine.busy_seconds((CONTENDER_CORE, LOAD_CORE))
    begun = time.monotonic()
    with machine.Slices(pids) as slices:
        done, took, p99, wrong = generate(s, PORT, duration, folder)
    if not done:
        raise RuntimeError("no request was answered under load")
    wall = time.monotonic() - begun
    used = [b - a for a, b in zip(before, machine.busy_seconds((CONTENDER_CORE, LOAD_CORE)))]
    return {"slices": slices.cost_us(done), "rps": done / took, "p99_ms": (p99 or 0) * 1e3, "errors": wrong,
            "both_us": sum(used) / done * 1e6, "busy": [u / wall for u in used]}


def sample(s, name, folder, root, duration):
    """One round of one contender, started anew; None when it does not do this kind of job."""
    work = tempfile.mkdtemp(dir=folder)
    os.chmod(work, 0o777)
    job = SimpleNamespace(kind=s.kind, load=s.load, tls=s.tls, h2=s.h2, crt=f"{folder}/crt.pem", key=f"{folder}/key.pem",
                          pem=f"{folder}/both.pem", port=PORT, origin=ORIGIN, origins=ORIGINS, echo=ECHO, backend=f"{folder}/backend.sock", dir=work, root=root, app=s.app,
                          apps=os.path.join(HERE, "apps"), python=os.path.join(PEERS, "bin", "python"))
    argvs = CONTENDERS[name](job)
    if not argvs:
        return None
    procs = []
    with open(f"{work}/log", "wb") as log:
        try:
            for argv in argvs:
                procs.append(spawn(argv, CONTENDER_CORE, log))
                if len(procs) < len(argvs):
                    wait_for("socket", lambda: os.path.exists(f"{work}/app.sock"), procs)
            wait_for("listener", lambda: listens(PORT), procs)
            sent = check_reply(s)
            pids = machine.tree([p.pid for p in procs])
            speed = machine.calibrate(CONTENDER_CORE, LOAD_CORE)
            measured = load.idle(s, PORT, pids) if s.load == "idle" else measure_load(s, pids, duration, folder)
            return measured | {"speed_ms": speed, "sent": sent}
        except (RuntimeError, OSError, subprocess.CalledProcessError, http.client.HTTPException) as why:
            with open(f"{work}/log", errors="replace") as said:
                print(f"  {name}: {why}\n{said.read()[-500:]}", file=sys.stderr)
            return {"failed": str(why)}
        finally:
            stop(procs)
            shutil.rmtree(work, ignore_errors=True)


# ------------------------------------------------------------------------------------------- table

def quick(slices):
    """The 20th percentile: the cost with the machine at its full speed."""
    return sorted(slices)[len(slices) // 5]


def load_table(samples, packed=False):
    rows = []
    for name, rounds in samples.items():
        good = [r for r in rounds if r.get("slices")]
        if good:
            costs = [quick(r["slices"]) for r in good]
            rows.append((min(costs), name, good, costs))
    rows.sort(key=lambda row: row[0])
    peers = [cost for cost, name, *_ in rows if not name.startswith("quaich")]
    size = (" bytes |", "--:|") if packed else ("", "")
    yield "| contender | CPU µs/request | rounds | x best peer | both cores µs | req/s | p99 ms | errors |" + size[0]
    yield "|---|--:|--:|--:|--:|--:|--:|--:|" + size[1]
    for cost, name, good, costs in rows:
        ratio = f"{cost / peers[0]:.2f}" if peers else ""
        mid = {key: statistics.median(r[key] for r in good) for key in ("both_us", "rps", "p99_ms")}
        yield f"| {name} | **{cost:.1f}** | {min(costs):.1f}-{max(costs):.1f} | {ratio} | {mid['both_us']:.1f} " \
              f"| {mid['rps']:,.0f} | {mid['p99_ms']:.1f} | {sum(r['errors'] for r in good)} |" + (f" {good[0]['sent']:,} |" if packed else "")


def idle_table(samples):
    yield "| contender | KiB per idle connection | MiB at start | MiB with all |"
    yield "|---|--:|--:|--:|"
    rows = [(min(r["kib"] for r in good), name, good[0]) for name, rounds in samples.items()
            if (good := [r for r in rounds if "kib" in r])]
    for kib, name, one in sorted(rows, key=lambda row: row[0]):
        yield f"| {name} | **{kib:.2f}** | {one['start_mib']:.1f} | {one['full_mib']:.1f} |"


def write_page(sections):
    """Puts the tables into docs/performance.md, section by section; what was not measured stays."""
    path = os.path.join(ROOT, "docs", "performance.md")
    with open(path) as f:
        page = f.read()
    for name, lines in sections.items():
        block = f"<!-- {name} -->\n" + "\n".join(lines) + f"\n<!-- end {name} -->"
        page = re.sub(rf"<!-- {name} -->.*?<!-- end {name} -->", lambda _: block, page, flags=re.S)
    with open(path, "w") as f:
        f.write(page)


# -------------------------------------------------------------------------------------------- main

def install():
    """The peers' Python environment, once."""
    wanted = os.path.join(HERE, "requirements.txt")
    stamp = os.path.join(PEERS, "requirements.installed")
    with open(wanted) as f:
        text = f.read()
    with contextlib.suppress(OSError), open(stamp) as f:
        if f.read() == text:
            return
    subprocess.run([shutil.which("python3", path="/usr/bin") or sys.executable, "-m", "venv", "--clear", PEERS], check=True)
    for line in filter(None, (line.split("#")[0].strip() for line in text.splitlines())):
        argv = [os.path.join(PEERS, "bin", "pip"), "install", "-q", "--disable-pip-version-check", line]
        if subprocess.run(argv, stderr=subprocess.DEVNULL).returncode:
            print(f"note: {line} does not install here; it is left out", file=sys.stderr)
    with open(stamp, "w") as f:
        f.write(text)


def arguments():
    p = argparse.ArgumentParser(prog="cargo xtask bench", description="CPU per request beside the peers.")
    p.add_argument("scenario", nargs="*", metavar="SCENARIO", help=", ".join(SCENARIOS))
    p.add_argument("--vs", help="only these contenders beside quaich, separated by commas")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=int, default=5)
    p.add_argument("--write", action="store_true", help="put the tables into docs/performance.md")
    args = p.parse_args()
    unknown = set(args.scenario) - set(SCENARIOS)
    if unknown:
        p.error(f"no scenario {', '.join(sorted(unknown))}; they are: {', '.join(SCENARIOS)}")
    chosen = set(args.vs.split(",")) if args.vs else set(CONTENDERS)
    if chosen - set(CONTENDERS):
        p.error(f"no contender {', '.join(sorted(chosen - set(CONTENDERS)))}; they are: {', '.join(CONTENDERS)}")
    args.contenders = [n for n in CONTENDERS if n in chosen or n.startswith("quaich")]
    return args


def interleave(name, args, folder, root):
    """Samples of each contender; they take turns."""
    samples = {contender: [] for contender in args.contenders}
    for turn in range(args.rounds):
        for contender, rounds in samples.items():
            got = sample(SCENARIOS[name], contender, folder, root, args.seconds)
            if got:
                rounds.append(got)
                print(f"  {name} {turn + 1}/{args.rounds} {contender}: {brief(got)}", file=sys.stderr)
    return samples


def measure_all(args, folder):
    root, sections = fixtures(folder), {}
    with open(f"{folder}/origin.out", "wb") as log:
        origin = spawn([find("nginx"), "-p", folder, "-c", f"{folder}/origin.conf"], LOAD_CORE, log)
        try:
            wait_for("origin", lambda: listens(ORIGIN), [origin])
            for name in args.scenario or SCENARIOS:
                with behind(SCENARIOS[name], folder):
                    samples = interleave(name, args, folder, root)
                s = SCENARIOS[name]
                lines = list(idle_table(samples) if s.load == "idle" else load_table(samples, s.packed))
                sections[name] = lines
                print(f"\n## {name}\n\n" + "\n".join(lines) + "\n", flush=True)
        finally:
            stop([origin])
    return sections


def brief(got):
    if "failed" in got:
        return "failed: " + got["failed"]
    if "kib" in got:
        return f"{got['kib']:.2f} KiB"
    return f"{quick(got['slices']):.1f} µs, loop {got['speed_ms']:.0f} ms, busy {got['busy'][0]:.2f}/{got['busy'][1]:.2f}"


def main():
    args = arguments()
    for tool in ("wrk", "h2load", "nginx", "taskset", "openssl"):
        if not shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin"):
            sys.exit(f"bench needs {tool}: apt-get install wrk nghttp2-client nginx-light util-linux openssl")
    if (os.cpu_count() or 1) < 2:
        sys.exit("bench needs two cores: one for the contender, one for the load")
    install()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.sched_setaffinity(0, {LOAD_CORE})
    folder = tempfile.mkdtemp(prefix="quaich-bench-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    os.chmod(folder, 0o755)
    try:
        sections = measure_all(args, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if args.write:
        stamp = f"Taken {time.strftime('%Y-%m-%d')}, kernel {platform.release()}, {args.rounds} rounds of {args.seconds} s."
        write_page(sections | {"taken": [stamp]})


if __name__ == "__main__":
    main()
