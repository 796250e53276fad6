//! gRPC through quaich: a real grpcio client and a real grpcio server, over HTTP/2 on both sides.

use std::process::Command;

use quaich_testkit::{Ca, Peer, Quaich, TempSite, python, requires_python};

const SERVER: &str = r#"
import concurrent.futures, grpc

def unary(request, context):
    metadata = dict(context.invocation_metadata())
    context.set_trailing_metadata((("x-end", metadata.get("x-begin", "")),))
    if request == b"fail":
        context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")
    return request[::-1]

def down(request, context):
    for n in range(int(request)):
        yield b"%d" % n

def up(requests, context):
    return b"%d" % sum(len(r) for r in requests)

def both(requests, context):
    for request in requests:
        yield b"<" + request + b">"

cancelled = []

def wait(request, context):
    import threading
    over = threading.Event()
    context.add_callback(over.set)
    yield b"begun"
    over.wait()
    print("cancelled", flush=True)

def enough(requests, context):
    return b"answered before the end"

methods = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "Down": grpc.unary_stream_rpc_method_handler(down),
    "Up": grpc.stream_unary_rpc_method_handler(up),
    "Both": grpc.stream_stream_rpc_method_handler(both),
    "Wait": grpc.unary_stream_rpc_method_handler(wait),
    "Enough": grpc.stream_unary_rpc_method_handler(enough),
}
server = grpc.server(concurrent.futures.ThreadPoolExecutor(32))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("t.T", methods),))
print("listening on", server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
server.wait_for_termination()
"#;

const CLIENT: &str = r#"
import queue, sys, threading, grpc

address, ca = sys.argv[1], sys.argv[2]
if ca == "-":
    channel = grpc.insecure_channel(address)
else:
    credentials = grpc.ssl_channel_credentials(open(ca, "rb").read())
    channel = grpc.secure_channel(address, credentials,
        (("grpc.ssl_target_name_override", "test"),))

unary = channel.unary_unary("/t.T/Unary")
answer, call = unary.with_call(b"hello", metadata=(("x-begin", "42"),), timeout=15)
assert answer == b"olleh", answer
assert dict(call.trailing_metadata())["x-end"] == "42", call.trailing_metadata()
assert len(unary(b"x" * 3_000_000, timeout=15)) == 3_000_000
print("unary", flush=True)

try:
    unary(b"fail", timeout=15)
    raise SystemExit("an error must be one")
except grpc.RpcError as error:
    assert error.code() == grpc.StatusCode.NOT_FOUND, error
    assert error.details() == "no such thing", error
print("failure", flush=True)

try:
    channel.unary_unary("/t.T/Nothing")(b"", timeout=15)
    raise SystemExit("an unknown method must be an error")
except grpc.RpcError as error:
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED, error
print("trailers only", flush=True)

got = [int(n) for n in channel.unary_stream("/t.T/Down")(b"1000", timeout=15)]
assert got == list(range(1000)), got
print("server streaming", flush=True)

sent = (b"y" * 10_000 for _ in range(200))
assert channel.stream_unary("/t.T/Up")(sent, timeout=15) == b"2000000"
print("client streaming", flush=True)

# Each message is answered before the next one is sent: nothing may be held back.
turns = queue.SimpleQueue()
answers = channel.stream_stream("/t.T/Both")(iter(turns.get, None), timeout=15)
for n in range(100):
    turns.put(b"%d" % n)
    assert next(answers) == b"<%d>" % n
turns.put(None)
assert list(answers) == []
print("both ways", flush=True)

endless = queue.SimpleQueue()
early = channel.stream_unary("/t.T/Enough").future(iter(endless.get, None), timeout=15)
assert early.result() == b"answered before the end"
endless.put(None)
print("early answer", flush=True)

waiting = channel.unary_stream("/t.T/Wait")(b"", timeout=15)
assert next(waiting) == b"begun"
waiting.cancel()
print("cancel", flush=True)

try:
    list(channel.unary_stream("/t.T/Wait")(b"", timeout=0.5))
    raise SystemExit("a deadline must end the call")
except grpc.RpcError as error:
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error
print("deadline", flush=True)

calls = [unary.future(b"%d" % n, timeout=15) for n in range(300)]
assert [c.result() for c in calls] == [(b"%d" % n)[::-1] for n in range(300)]
print("many at once", flush=True)
"#;

/// The server, and its port.
fn server(site: &TempSite) -> (Peer, String) {
    let file = site.write("peer/server.py", SERVER);
    let peer = Peer::start(Command::new(python()).arg(file));
    let line = peer.log().wait_for("listening on ");
    let port = line.rsplit(' ').next().expect("a port").to_owned();
    (peer, port)
}

fn run_client(quaich: &Quaich, ca: &str) {
    let file = quaich.site().write("peer/client.py", CLIENT);
    let address = format!("127.0.0.1:{}", quaich.addr().port());
    let mut command = Command::new(python());
    let out = command.arg(file).args([&address, ca]).output();
    let out = out.expect("python runs");
    assert!(
        out.status.success(),
        "{}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
}

#[test]
fn calls_of_every_kind_pass_over_http2() {
    if !requires_python(&["grpc"]) {
        return;
    }
    let site = TempSite::new();
    let (server, port) = server(&site);
    let toml = format!("[site.main]\nproxy = \"h2c://127.0.0.1:{port}\"\n");
    let quaich = Quaich::serve(site, &toml);
    run_client(&quaich, "-");
    // One was cancelled by the client, one by its deadline.
    server.log().wait_for_count(2, "cancelled");
}

#[test]
fn calls_of_every_kind_pass_over_tls() {
    if !requires_python(&["grpc"]) {
        return;
    }
    let (site, ca) = (TempSite::new(), Ca::new("test CA"));
    let leaf = ca.server(&["test"]);
    let ca_file = site.write("ca.pem", ca.pem());
    site.write("chain.pem", &leaf.chain);
    site.write("key.pem", &leaf.key);
    let (_server, port) = server(&site);
    let toml = format!(
        "[[server.listener]]\naddr = \"127.0.0.1:0\"\ntls = true\n\
         [tls.cert.main]\ncert = \"chain.pem\"\nkey = \"key.pem\"\n\
         [site.main]\nhosts = [\"test\"]\nproxy = \"h2c://127.0.0.1:{port}\"\n"
    );
    let quaich = Quaich::serve_exactly(site, &toml);
    run_client(&quaich, &ca_file.display().to_string());
}

#[test]
fn a_server_that_is_down_is_unavailable() {
    if !requires_python(&["grpc"]) {
        return;
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let addr = listener.local_addr().expect("it is bound");
    drop(listener);
    let toml = format!("[site.main]\nproxy = \"h2c://{addr}\"\n");
    let quaich = Quaich::serve(TempSite::new(), &toml);
    let client = "import sys, grpc\n\
        try:\n    grpc.insecure_channel(sys.argv[1]).unary_unary('/t.T/Unary')(b'', timeout=15)\n\
        except grpc.RpcError as error:\n    print(error.code())\n";
    let file = quaich.site().write("client.py", client);
    let address = format!("127.0.0.1:{}", quaich.addr().port());
    let out = Command::new(python()).arg(file).arg(address).output();
    let shown = String::from_utf8_lossy(&out.expect("python runs").stdout).into_owned();
    assert_eq!(shown.trim(), "StatusCode.UNAVAILABLE");
}
