//! Clients that people use, over TLS and HTTP/2: curl, httpx, openssl, nghttp, h2load, testssl.sh.
//!
//! `docs/http2.md` says how to run each by hand.

use std::path::Path;
use std::process::{Command, Output};

use quaich_testkit::{Ca, Quaich, RawClient, TempSite, eventually, python, requires_python};

use crate::apps;

/// Answers `/` with its own files and `/app/` with an app that says what it got; over HTTP at
/// 127.0.0.1, over HTTPS at 127.0.0.2 (as `test`, `localhost` and that address). The CA is in
/// `ca.crt`.
pub(crate) fn serve(site: TempSite) -> Quaich {
    let ca = Ca::new("Clients");
    site.write("ca.crt", ca.pem());
    ca.server(&["test", "localhost", "127.0.0.2"])
        .write(&site, "test");
    site.write("www/index.html", "<h1>home</h1>\n");
    site.write("app.py", APP);
    let toml = format!(
        "[admin]\nlisten = \"unix:quaich.sock\"\n\
         [log.access]\noutput = \"file:access.log\"\nformat = \"json\"\n\
         [tls.cert.test]\ncert = \"test.crt\"\nkey = \"test.key\"\n\
         [[server.listener]]\naddr = \"127.0.0.1:0\"\n\
         [[server.listener]]\naddr = \"127.0.0.2:0\"\ntls = true\n\
         {}[site.main]\nredirect_https = false\n\
         [[site.main.route]]\nprefix = \"/app\"\napp = \"main\"\n\
         [[site.main.route]]\nfiles = {{ root = \"www\" }}\n",
        apps::table("workers = 1\nthreads = 2")
    );
    Quaich::serve_exactly(site, &toml)
}

/// Answers with protocol, scheme and the length of the body, line by line.
const APP: &str = r#"
def application(environ, start_response):
    length = len(environ["wsgi.input"].read())
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield environ["SERVER_PROTOCOL"].encode() + b"\n"
    yield environ["wsgi.url_scheme"].encode() + b"\n"
    yield str(length).encode() + b"\n"
"#;

/// Whether a program is there; says on standard error what is skipped when not.
pub(crate) fn requires_program(path: &str, package: &str) -> bool {
    let there = Path::new(path).exists();
    if !there {
        eprintln!("skipped: {path} is not installed (apt-get install {package})");
    }
    there
}

/// Runs a command to its end, which must be a good one; returns what it printed.
#[track_caller]
fn printed(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the client can be started");
    let (stdout, stderr) = (
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr),
    );
    assert!(
        status.success(),
        "{command:?}: {status}\n{stdout}\n{stderr}"
    );
    stdout.into_owned()
}

fn ports(quaich: &Quaich) -> (u16, u16) {
    (
        quaich.addr_at("127.0.0.1").port(),
        quaich.addr_at("127.0.0.2").port(),
    )
}

#[test]
fn curl_speaks_every_version_and_trusts_the_ca() {
    if !requires_program("/usr/bin/curl", "curl") {
        return;
    }
    let quaich = serve(TempSite::new());
    let (plain, tls) = ports(&quaich);
    let here = quaich.site();
    let upload = here.write("upload.bin", vec![b'u'; 700_000]);
    let https = format!("https://test:{tls}/app/");
    let http = format!("http://127.0.0.1:{plain}/app/");
    for (version, url, said) in [
        ("--http1.1", &http, "HTTP/1.1\nhttp\n"),
        ("--http1.1", &https, "HTTP/1.1\nhttps\n"),
        ("--http2", &https, "HTTP/2.0\nhttps\n"),
        ("--http2-prior-knowledge", &http, "HTTP/2.0\nhttp\n"),
        // An upgrade that is asked for in HTTP/1.1 is not done, and nothing is lost by it.
        ("--http2", &http, "HTTP/1.1\nhttp\n"),
    ] {
        let resolve = format!("test:{tls}:127.0.0.2");
        let mut curl = Command::new("/usr/bin/curl");
        curl.args([
            "-sS",
            "--fail",
            "--max-time",
            "20",
            version,
            "--resolve",
            &resolve,
        ])
        .arg("--cacert")
        .arg(here.join("ca.crt"));
        curl.arg(url);
        assert_eq!(printed(&mut curl), format!("{said}0\n"), "{version} {url}");
        curl.arg("--data-binary")
            .arg(format!("@{}", upload.display()));
        assert_eq!(
            printed(&mut curl),
            format!("{said}700000\n"),
            "{version} {url}"
        );
    }
}

#[test]
fn curl_refuses_a_server_that_it_has_no_reason_to_trust() {
    if !requires_program("/usr/bin/curl", "curl") {
        return;
    }
    let quaich = serve(TempSite::new());
    let url = format!("https://127.0.0.2:{}/", ports(&quaich).1);
    let curl = Command::new("/usr/bin/curl").args(["-sS", &url]).output();
    // 60: the certificate cannot be verified.
    assert_eq!(curl.expect("curl can be started").status.code(), Some(60));
    let mut plain = RawClient::connect(quaich.addr_at("127.0.0.1"));
    plain.get("/").expect_status(200);
}

const HTTPX: &str = r#"
import asyncio, ssl, sys
import httpx

base, ca = sys.argv[1:]

async def main():
    context = ssl.create_default_context(cafile=ca)
    async with httpx.AsyncClient(http2=True, verify=context, base_url=base) as client:
        answers = await asyncio.gather(*(client.get(f"/app/{n}") for n in range(100)))
        for answer in answers:
            assert answer.http_version == "HTTP/2", answer.http_version
            assert answer.text == "HTTP/2.0\nhttps\n0\n", answer.text
        big = await client.post("/app/", content=b"x" * 3_000_000)
        assert big.text.endswith("\n3000000\n"), big.text

        async def parts():
            for _ in range(30):
                yield b"y" * 10_000

        streamed = await client.post("/app/", content=parts())
        assert streamed.text.endswith("\n300000\n"), streamed.text
        lines = []
        async with client.stream("GET", "/app/") as answer:
            async for line in answer.aiter_lines():
                lines.append(line)
        assert lines == ["HTTP/2.0", "https", "0"], lines
        assert (await client.get("/nothing")).status_code == 404

asyncio.run(main())
print("all well")
"#;

#[test]
fn httpx_makes_a_hundred_requests_at_once() {
    if !requires_python(&["httpx", "h2"]) {
        return;
    }
    let quaich = serve(TempSite::new());
    let base = format!("https://localhost:{}", ports(&quaich).1);
    // `localhost` is 127.0.0.1 for the resolver: the address is in the certificate as well.
    let base = base.replace("localhost", "127.0.0.2");
    let mut client = Command::new(python());
    client
        .args(["-c", HTTPX, &base])
        .arg(quaich.site().join("ca.crt"));
    assert_eq!(printed(&mut client), "all well\n");
}

#[test]
fn openssl_shakes_hands_resumes_and_is_refused_old_versions() {
    if !requires_program("/usr/bin/openssl", "openssl") {
        return;
    }
    let quaich = serve(TempSite::new());
    let here = quaich.site();
    let connect = format!("127.0.0.2:{}", ports(&quaich).1);
    let s_client = |more: &[&str]| {
        let mut command = Command::new("/usr/bin/openssl");
        command
            .args(["s_client", "-connect", &connect, "-servername", "test"])
            .args([
                "-verify_return_error",
                "-verify_hostname",
                "test",
                "-CAfile",
            ])
            .arg(here.join("ca.crt"))
            .args(more)
            .current_dir(here.path())
            .stdin(std::process::Stdio::null());
        command
    };
    for (version, name) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let said = printed(&mut s_client(&[version, "-alpn", "h2,http/1.1"]));
        assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
        assert!(said.contains("ALPN protocol: h2"), "{said}");
        assert!(said.contains(name), "{said}");
    }
    // TLS 1.2 has its ticket within the handshake, so that nothing more has to be read.
    printed(&mut s_client(&["-tls1_2", "-sess_out", "session"]));
    let again = printed(&mut s_client(&["-tls1_2", "-sess_in", "session"]));
    assert!(again.contains("Reused, TLSv1.2"), "{again}");
    for version in ["-tls1", "-tls1_1"] {
        let refused = s_client(&[version, "-cipher", "DEFAULT@SECLEVEL=0"]).output();
        let refused = refused.expect("openssl can be started");
        assert!(!refused.status.success(), "{version} is spoken");
    }
    let refused = s_client(&["-alpn", "spdy/3"])
        .output()
        .expect("openssl can be started");
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(why.contains("no application protocol"), "{why}");
}

#[test]
fn nghttp_gets_a_page_and_uploads() {
    if !requires_program("/usr/bin/nghttp", "nghttp2-client") {
        return;
    }
    let quaich = serve(TempSite::new());
    let (plain, tls) = ports(&quaich);
    let upload = quaich.site().write("upload.bin", vec![b'u'; 300_000]);
    for base in [
        format!("http://127.0.0.1:{plain}"),
        format!("https://127.0.0.2:{tls}"),
    ] {
        let mut nghttp = Command::new("/usr/bin/nghttp");
        let page = printed(
            nghttp
                .args(["--no-verify-peer", "-t20"])
                .arg(format!("{base}/")),
        );
        assert_eq!(page, "<h1>home</h1>\n", "{base}");
        nghttp.arg("-d").arg(&upload).arg(format!("{base}/app/"));
        let both = printed(&mut nghttp);
        assert!(
            both.ends_with("\n300000\n") || both.contains("\n300000\n"),
            "{both}"
        );
    }
}

#[test]
fn h2load_sees_every_request_succeed() {
    if !requires_program("/usr/bin/h2load", "nghttp2-client") {
        return;
    }
    let quaich = serve(TempSite::new());
    let (plain, tls) = ports(&quaich);
    for base in [
        format!("http://127.0.0.1:{plain}/"),
        format!("https://127.0.0.2:{tls}/"),
    ] {
        let said = printed(Command::new("/usr/bin/h2load").args(["-n2000", "-c10", "-m20", &base]));
        let all = "requests: 2000 total, 2000 started, 2000 done, 2000 succeeded, 0 failed";
        assert!(
            said.contains(all) && said.contains("status codes: 2000 2xx"),
            "{said}"
        );
    }
}

/// The parts of testssl.sh that are about the server's TLS: protocols, its defaults (certificate,
/// extensions), vulnerabilities, forward secrecy, ciphers.
const TESTSSL: &[&str] = &[
    "--quiet",
    "--color",
    "0",
    "--warnings",
    "off",
    "--fast",
    "--ip",
    "one",
    "--nodns",
    "min",
    "--protocols",
    "--std",
    "--server-defaults",
    "--vulnerable",
    "--pfs",
];

/// What testssl.sh says of its own openssl, or of the world outside, and not of the server.
const NOT_THE_SERVERS: &[&str] = &["engine_problem", "RC4", "scanTime", "DNS_CAArecord"];

#[test]
fn testssl_finds_nothing_above_low() {
    if !requires_program("/usr/bin/testssl", "testssl.sh") {
        return;
    }
    let quaich = serve(TempSite::new());
    let here = quaich.site();
    let report = here.join("testssl.json");
    let mut testssl = Command::new("/usr/bin/testssl");
    testssl
        .args(TESTSSL)
        .arg("--add-ca")
        .arg(here.join("ca.crt"));
    testssl.arg("-oj").arg(&report);
    testssl.arg(format!("https://127.0.0.2:{}", ports(&quaich).1));
    let output = testssl.stdin(std::process::Stdio::null()).output();
    let output = output.expect("testssl.sh can be started");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let findings: serde_json::Value = serde_json::from_str(&here.read("testssl.json"))
        .unwrap_or_else(|e| panic!("no report ({e}):\n{said}"));
    let findings = findings.as_array().expect("a list of findings");
    let text = |finding: &serde_json::Value, key: &str| {
        finding[key].as_str().unwrap_or_default().to_string()
    };
    let severe: Vec<String> = findings
        .iter()
        .filter(|f| !["OK", "INFO", "LOW", "DEBUG"].contains(&text(f, "severity").as_str()))
        .filter(|f| !NOT_THE_SERVERS.contains(&text(f, "id").as_str()))
        .map(|f| {
            format!(
                "{} {}: {}",
                text(f, "severity"),
                text(f, "id"),
                text(f, "finding")
            )
        })
        .collect();
    assert!(severe.is_empty(), "{severe:#?}\n{said}");
    // It did look: a report without these is none.
    for id in [
        "TLS1_2",
        "TLS1_3",
        "cert_chain_of_trust",
        "heartbleed",
        "ALPN_HTTP2",
    ] {
        assert!(
            findings.iter().any(|f| text(f, "id") == id),
            "no {id} in the report:\n{said}"
        );
    }
    eventually("its connections closed", || {
        (quaich.status()["front"]["connections"] == 0).then_some(())
    });
}
