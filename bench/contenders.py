"""The contenders: from a job to the command lines that serve it in the foreground.

A contender is a function of one argument, the job; it returns None when it does not do that kind of
job. To add one, write its function and name it in CONTENDERS. Each gets one worker process or event
loop, no access log, keep-alive on both sides.

A job has: kind (return, filters-none, filters-ten, proxy, static, gzip, gzip-fast, wsgi, uwsgi, fastcgi, balance, tcp), load
(wrk, h2load, s_time, echo, idle), tls
and h2 (served so), crt, key and pem (files; pem = both), port, origin (port), origins (four ports), echo (port), backend
(unix socket of uWSGI or a FastCGI server), dir (scratch), root (static files), app (module with `application`), apps (their
folder), python (of the peers' environment).
"""
import os
import shutil

# Filters that look at each request and have nothing to do. Each new one belongs here.
DECLINING = """
request_headers = { remove = ["X-None"] }
response_headers = { set = { X-None = "1" }, on = "error" }
cors = { origins = ["https://other.test"] }
expires = [{ path = "/other/*", age = "1h" }, { type = "image/*", age = "30d" }, { status = 404, age = "1m" }]
"""

REPLY = "Hello World, this is a fixed reply."


def find(name):
    return shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")


def _write(job, name, text):
    path = os.path.join(job.dir, name)
    with open(path, "w") as f:
        f.write(text)
    return path


def _quaich(job, log, limit='limit = "clients"\n'):
    program = os.environ.get("QUAICH") or find("quaich")
    if not program:
        return None
    action, tables = {
        "return": (f'respond = {{ status = 200, body = "{REPLY}" }}', ""),
        "filters-none": (f'respond = {{ status = 200, body = "{REPLY}" }}', ""),
        "filters-ten": (f'respond = {{ status = 200, body = "{REPLY}" }}{DECLINING}', ""),
        "static": (f'files = {{ root = "{job.root}" }}', ""),
        "wsgi": ('app = "bench"', f'[app.bench]\nmodule = "{job.app}:application"\ndir = "{job.apps}"\n'
                                  f'python = "{job.python}"\nworkers = 1\nthreads = 1\n'),
        "proxy": ('upstream = "origin"', _quaich_upstream([f"127.0.0.1:{job.origin}"])),
        "gzip": ('upstream = "origin"', _quaich_upstream([f"127.0.0.1:{job.origin}"])),
        "gzip-fast": ('upstream = "origin"\ncompress = { level = "fast" }',
                      _quaich_upstream([f"127.0.0.1:{job.origin}"])),
        "uwsgi": ('upstream = "origin"', _quaich_upstream([f"uwsgi+unix:{job.backend}"])),
        "fastcgi": (f'upstream = "origin"\nvariables = {{ SCRIPT_FILENAME = "{job.root}/1k" }}',
                    _quaich_upstream([f"fastcgi+unix:{job.backend}"])),
        "balance": ('upstream = "origin"', _quaich_upstream(
            [f"127.0.0.1:{port}" for port in job.origins],
            'balance = "least-conn"\nsticky = { cookie = "SRV" }\nhealth = { path = "/1k", every = "2s" }\n')),
        "limited": (f'{limit}respond = {{ status = 200, body = "{REPLY}" }}',
                    '[limit.clients]\nrate = "100000/s"\n'),
        "tcp": ("status = 404", _quaich_upstream([f"tcp://127.0.0.1:{job.echo}"])),
    }[job.kind]
    if job.tls:
        tables += f'[tls]\nsession_tickets = false\n[tls.cert.bench]\ncert = "{job.crt}"\nkey = "{job.key}"\n'
    protocols = '["h1", "h2"]' if job.h2 else '["h1"]'
    return [[program, "serve", "-c", _write(job, "quaich.toml", f"""
[server]
threads = 1
max_connections = 15000
keepalive = "300s"
keepalive_requests = 1000000000
{'trust = ["127.0.0.1"]' if job.kind == "limited" else ""}
[[server.listener]]
addr = "127.0.0.1:{job.port}"
tls = {'true' if job.tls else '"off"'}
{'protocols = ["tcp"]' + chr(10) + 'upstream = "origin"' if job.kind == "tcp" else f"protocols = {protocols}"}
[log.access]
{log}
{tables}
[[site.bench.route]]
{action}
""")]]


def _quaich_upstream(servers, more=""):
    listed = ", ".join(f'"{server}"' for server in servers)
    return f"[upstream.origin]\nservers = [{listed}]\nkeepalive = 256\n{more}"


def quaich(job):
    return _quaich(job, 'output = "off"')


def quaich_unlimited(job):
    return _quaich(job, 'output = "off"', limit="") if job.kind == "limited" else None


def quaich_logging(job):
    if job.kind != "proxy" or job.load == "idle" or job.tls:
        return None
    return _quaich(job, f'output = "file:{job.dir}/access.log"\nformat = "combined"')


def _nginx(job, location, upstream="", keep="keepalive 128; keepalive_requests 1000000000;"):
    program = find("nginx")
    if not program:
        return None
    temp = " ".join(f"{t}_temp_path {job.dir}/{t};" for t in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    pool = f"upstream up {{ server {upstream}; {keep} }}" if upstream else ""
    # The peers' sockets lie in a folder that root's nginx would not enter as another user.
    user = "user root;" if os.geteuid() == 0 else ""
    tls = f"ssl_certificate {job.crt}; ssl_certificate_key {job.key}; ssl_protocols TLSv1.3; " \
          "ssl_session_tickets off;" if job.tls else ""
    speaks = ("ssl " if job.tls else "") + ("http2 " if job.h2 else "")
    config = _write(job, "nginx.conf", f"""
daemon off; {user} worker_processes 1; pid {job.dir}/nginx.pid; error_log {job.dir}/error.log;
events {{ worker_connections 15000; }}
http {{
  access_log off; sendfile on; keepalive_requests 1000000000; keepalive_timeout 300;
  client_body_buffer_size 64k; default_type text/plain; {temp} {pool}
  server {{ listen 127.0.0.1:{job.port} backlog=4096 {speaks}; {tls} location / {{ {location} }} }}
}}
""")
    return [program, "-p", job.dir, "-c", config]


PASS = 'proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; ' \
       "proxy_set_header Host $host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"


GZIP = "gzip on; gzip_comp_level {level}; gzip_types application/json; gzip_proxied any; " \
       "proxy_buffers 16 16k; proxy_buffer_size 16k;"


PARAMS = {
    "QUERY_STRING": "$query_string", "REQUEST_METHOD": "$request_method", "CONTENT_TYPE": "$content_type",
    "CONTENT_LENGTH": "$content_length", "REQUEST_URI": "$request_uri", "PATH_INFO": "$document_uri",
    "SERVER_PROTOCOL": "$server_protocol", "REQUEST_SCHEME": "$scheme", "REMOTE_ADDR": "$remote_addr",
    "REMOTE_PORT": "$remote_port", "SERVER_PORT": "$server_port", "SERVER_NAME": "$server_name",
}
UWSGI_PASS = "".join(f"uwsgi_param {name} {value};" for name, value in PARAMS.items()) + "uwsgi_pass up;"
FASTCGI_PASS = "".join(f"fastcgi_param {name} {value};" for name, value in PARAMS.items()) + \
    "fastcgi_param SCRIPT_FILENAME {script}; fastcgi_param GATEWAY_INTERFACE CGI/1.1; " \
    "fastcgi_param SERVER_SOFTWARE nginx; fastcgi_keep_conn on; fastcgi_pass up;"


def nginx(job):
    location, upstream = {
        "return": (f'return 200 "{REPLY}";', ""),
        "static": (f"root {job.root}; open_file_cache max=1000 inactive=60s;", ""),
        "proxy": (f"{PASS} proxy_buffers 16 16k; proxy_buffer_size 16k;", f"127.0.0.1:{job.origin}"),
        "gzip": (f"{PASS} {GZIP.format(level=5)}", f"127.0.0.1:{job.origin}"),
        "gzip-fast": (f"{PASS} {GZIP.format(level=1)}", f"127.0.0.1:{job.origin}"),
        "uwsgi": (UWSGI_PASS, f"unix:{job.backend}"),
        "fastcgi": (FASTCGI_PASS.format(script=f"{job.root}/1k"), f"unix:{job.backend}"),
    }.get(job.kind, (None, ""))
    argv = location and _nginx(job, location, upstream)
    return [argv] if argv else None


def haproxy(job):
    program = find("haproxy")
    if not program or job.kind not in ("return", "proxy", "gzip", "gzip-fast", "balance", "tcp"):
        return None
    tls = f"ssl crt {job.pem} ssl-min-ver TLSv1.3 no-tls-tickets alpn {'h2,' if job.h2 else ''}http/1.1" if job.tls else ""
    reply = f'http-request return status 200 content-type text/plain string "{REPLY}"' if job.kind == "return" else ""
    servers = {
        "balance": ["balance leastconn", "cookie SRV insert indirect nocache", "option httpchk GET /1k"] + [
            f"server s{n} 127.0.0.1:{port} check inter 2s cookie s{n} pool-max-conn 256"
            for n, port in enumerate(job.origins)],
        "tcp": [f"server o 127.0.0.1:{job.echo}"],
    }.get(job.kind, [f"server o 127.0.0.1:{job.origin} pool-max-conn 256"])
    http = "" if job.kind == "tcp" else "http-reuse always"
    if job.kind.startswith("gzip"):
        http += "\n  filter compression\n  compression algo gzip\n  compression type application/json"
    return [[program, "-db", "-f", _write(job, "haproxy.cfg", f"""
global
  nbthread 1
  maxconn {2000 if job.kind == 'tcp' else 9000}
defaults
  mode {'tcp' if job.kind == 'tcp' else 'http'}
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  timeout http-keep-alive 300s
  {'option splice-auto' if job.kind == 'tcp' else ''}
frontend f
  bind 127.0.0.1:{job.port} backlog 4096 {tls}
  {'' if job.kind == 'tcp' else 'option forwardfor'}
  {reply}
  default_backend b
backend b
  {http}
  {chr(10).join('  ' + line for line in servers).lstrip()}
""")]]


def h2o(job):
    program = find("h2o")
    if not program or job.kind not in ("static", "proxy"):
        return None
    action = f'file.dir: "{job.root}"' if job.kind == "static" else \
        f'proxy.reverse.url: "http://127.0.0.1:{job.origin}/"'
    tls = f"\n  ssl:\n    certificate-file: {job.crt}\n    key-file: {job.key}\n    minimum-version: TLSv1.2" if job.tls else ""
    return [[program, "-c", _write(job, "h2o.conf", f"""
listen:
  host: 127.0.0.1
  port: {job.port}{tls}
user: root
num-threads: 1
max-connections: 15000
http1-request-timeout: 300
proxy.timeout.keepalive: 100000
{'ssl-session-resumption: {mode: off}' if job.tls else ''}
hosts:
  default:
    paths:
      /:
        {action}
""")]]


def _tool(job, name):
    path = os.path.join(os.path.dirname(job.python), name)
    return path if job.kind == "wsgi" and os.access(path, os.X_OK) else None


def granian(job):
    program = _tool(job, "granian")
    return program and [[program, "--interface", "wsgi", "--workers", "1", "--runtime-threads", "1",
                         "--blocking-threads", "1", "--http", "1", "--no-ws", "--log-level", "error",
                         "--working-dir", job.apps, "--host", "127.0.0.1", "--port", str(job.port),
                         f"{job.app}:application"]]


def _inside_python(job, module, call):
    if job.kind != "wsgi" or os.system(f"'{job.python}' -c 'import {module}' 2>/dev/null"):
        return None
    script = f"import sys; sys.path.insert(0, {job.apps!r}); import {module}, {job.app} as a; {call}"
    return [[job.python, "-c", script]]


def bjoern(job):
    return _inside_python(job, "bjoern", f"bjoern.run(a.application, '127.0.0.1', {job.port})")


def fastwsgi(job):
    return _inside_python(job, "fastwsgi",
                          f"fastwsgi.run(wsgi_app=a.application, host='127.0.0.1', port={job.port}, loglevel=0)")


def nginx_gunicorn(job):
    program, socket = _tool(job, "gunicorn"), f"{job.dir}/app.sock"
    front = program and _nginx(job, PASS, f"unix:{socket}")
    app = [program, "-w", "1", "-k", "gthread", "--threads", "4", "--chdir", job.apps, "-b", f"unix:{socket}",
           "--log-level", "error", "--keep-alive", "300", "--worker-connections", "20000", f"{job.app}:application"]
    return [app, front] if front else None


def nginx_uwsgi(job):
    program, socket = _tool(job, "uwsgi"), f"{job.dir}/app.sock"
    front = program and _nginx(job, UWSGI_PASS, f"unix:{socket}")
    app = [program, "--master", "--processes", "1", "--need-app", "--disable-logging", "--listen", "1024",
           "--die-on-term", "--virtualenv", os.path.dirname(os.path.dirname(job.python)), "--pythonpath", job.apps,
           "--module", f"{job.app}:application", "--socket", socket]
    return [app, front] if front else None


CONTENDERS = {
    "quaich": quaich, "quaich, no limit": quaich_unlimited, "quaich, access log on": quaich_logging, "nginx": nginx, "haproxy": haproxy, "h2o": h2o,
    "granian": granian, "bjoern": bjoern, "fastwsgi": fastwsgi, "nginx+uwsgi": nginx_uwsgi,
    "nginx+gunicorn": nginx_gunicorn,
}
