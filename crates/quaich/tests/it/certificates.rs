//! Certificates from files and from the local CA: which is shown, how they are replaced, and what is
//! said of bad ones.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use quaich_testkit::{
    Ca, Finished, Peer, Quaich, QuaichCommand, RawClient, Signal, TempSite, TlsClient, eventually,
};

fn config(tables: &str) -> String {
    format!(
        "tls = true\n{tables}\n[site.main]\nhosts = [\"*\"]\n\
         [[site.main.route]]\nrespond = {{ status = 200, body = \"ok\" }}\n"
    )
}

fn cert(name: &str) -> String {
    format!("[tls.cert.{name}]\ncert = \"{name}.crt\"\nkey = \"{name}.key\"\n")
}

fn serve(site: TempSite, certs: &[&str]) -> Quaich {
    let tables: String = certs.iter().map(|name| cert(name)).collect();
    Quaich::serve(site, &config(&tables))
}

/// The serial number of the certificate that is shown for `name`, as openssl prints it.
fn shown(addr: SocketAddr, name: &str) -> String {
    let script = format!(
        "openssl s_client -connect {addr} -servername {name} </dev/null 2>/dev/null \
         | openssl x509 -noout -subject"
    );
    let out = Command::new("sh").args(["-c", &script]).output().unwrap();
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

fn curl(quaich: &Quaich, host: &str, ca: &Path) -> String {
    let port = quaich.addr().port();
    let mut command = Command::new("curl");
    command.args(["-sS", "--resolve", &format!("{host}:{port}:127.0.0.1")]);
    command
        .arg("--cacert")
        .arg(ca)
        .arg(format!("https://{host}:{port}/"));
    let out = command.output().expect("curl can be started");
    let both = [out.stdout, out.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

fn der_of(addr: SocketAddr, name: &str) -> Vec<u8> {
    let client = TlsClient::credulous().asking(name).without_resumption();
    let shown = RawClient::connect_tls(addr, &client)
        .handshake()
        .certificate;
    shown.expect("a certificate").to_vec()
}

/// One request on an open connection.
fn ask(client: &mut RawClient) {
    client.send("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    client.response().expect_status(200).expect_body("ok");
}

#[test]
fn certificates_from_files_are_chosen_by_name() {
    let (site, ca) = (TempSite::new(), Ca::new("test"));
    ca.server(&["shop.example"]).write(&site, "shop");
    ca.server(&["*.blog.example"]).write(&site, "blog");
    let root = site.write("root.pem", ca.pem());
    let quaich = serve(site, &["shop", "blog"]);
    assert_eq!(
        shown(quaich.addr(), "shop.example"),
        "subject=CN = shop.example"
    );
    assert_eq!(
        shown(quaich.addr(), "a.blog.example"),
        "subject=CN = *.blog.example"
    );
    assert_eq!(curl(&quaich, "shop.example", &root), "ok");
    assert_eq!(curl(&quaich, "x.blog.example", &root), "ok");
    assert!(curl(&quaich, "other.example", &root).contains("curl: (35)"));
    quaich.log().wait_for("https://127.0.0.1:");
    let rows = quaich.status();
    let names: Vec<_> = rows["certificates"].as_array().unwrap().iter().collect();
    assert_eq!(names.len(), 2, "{rows:#}");
    assert_eq!(names[0]["name"], "shop");
    assert_eq!(names[0]["hosts"][0], "shop.example");
    assert_eq!(names[0]["problem"], serde_json::Value::Null);
}

#[test]
fn a_replaced_file_is_taken_and_open_connections_go_on() {
    let (site, ca) = (TempSite::new(), Ca::new("test"));
    let (old, new) = (ca.server(&["shop.example"]), ca.server(&["shop.example"]));
    old.write(&site, "shop");
    let quaich = serve(site, &["shop"]);
    let client = TlsClient::believing(&ca).asking("shop.example");
    let mut open = RawClient::connect_tls(quaich.addr(), &client);
    ask(&mut open);
    new.write(quaich.site(), "shop");
    quaich
        .log()
        .wait_for("certificate `shop` replaced, valid until 20");
    eventually("the new certificate", || {
        (der_of(quaich.addr(), "shop.example") == new.der.to_vec()).then_some(())
    });
    ask(&mut open);
    // A front that takes another's place has the new one as well.
    let front = quaich.front();
    Quaich::signal_process(front, Signal::KILL);
    eventually("another front", || (quaich.front() != front).then_some(()));
    assert_eq!(der_of(quaich.addr(), "shop.example"), new.der.to_vec());
}

#[test]
fn links_that_are_pointed_elsewhere_are_followed() {
    let (site, ca) = (TempSite::new(), Ca::new("test"));
    let (old, new) = (ca.server(&["shop.example"]), ca.server(&["shop.example"]));
    old.write(&site, "archive1");
    new.write(&site, "archive2");
    let point = |site: &TempSite, number: u8| {
        for kind in ["crt", "key"] {
            let link = site.join(&format!("link.{kind}"));
            std::os::unix::fs::symlink(format!("archive{number}.{kind}"), &link).unwrap();
            fs::rename(&link, site.join(&format!("shop.{kind}"))).unwrap();
        }
    };
    point(&site, 1);
    let quaich = serve(site, &["shop"]);
    point(quaich.site(), 2);
    quaich.log().wait_for("certificate `shop` replaced");
    eventually("the new certificate", || {
        (der_of(quaich.addr(), "shop.example") == new.der.to_vec()).then_some(())
    });
}

#[test]
fn a_bad_replacement_is_told_once_and_the_old_one_goes_on_serving() {
    let (site, ca) = (TempSite::new(), Ca::new("test"));
    let old = ca.server(&["shop.example"]);
    old.write(&site, "shop");
    let quaich = serve(site, &["shop"]);
    // Another key.
    quaich
        .site()
        .write("shop.key", &ca.server(&["shop.example"]).key);
    let line = quaich.log().wait_for("belongs to another certificate");
    assert!(line.contains("shop.key"), "{line}");
    assert!(line.contains("goes on being used"), "{line}");
    // Half of a file.
    quaich.site().write("shop.crt", &old.chain[..200]);
    quaich
        .log()
        .wait_for("shop.crt: the certificate cannot be read");
    // One that has expired.
    ca.expired(&["shop.example"]).write(quaich.site(), "shop");
    quaich.log().wait_for("shop.crt expired on 2002-01-01");
    let bad = &quaich.status()["certificates"][0]["problem"];
    assert!(bad.as_str().unwrap().contains("expired on"), "{bad}");
    // HUP looks again, and finds nothing new to say.
    quaich.signal(Signal::HUP);
    quaich.log().wait_for("HUP: certificates are read again");
    assert_eq!(der_of(quaich.addr(), "shop.example"), old.der.to_vec());
    let good = ca.server(&["shop.example"]);
    good.write(quaich.site(), "shop");
    quaich.signal(Signal::HUP);
    quaich.log().wait_for("certificate `shop` replaced");
    for (text, count) in [("another certificate", 1), ("expired on 2002", 1)] {
        assert_eq!(quaich.log().text().matches(text).count(), count, "{text}");
    }
    assert_eq!(
        quaich.status()["certificates"][0]["problem"],
        serde_json::Value::Null
    );
}

/// `quaich serve` with one certificate of each name, which must fail.
fn refused(site: &TempSite, names: &[&str]) -> Finished {
    let tables: String = names.iter().map(|name| cert(name)).collect();
    let text = format!("[server]\nlisten = [\"127.0.0.1:0\"]\n{}", config(&tables));
    site.write("quaich.toml", text);
    let told = QuaichCommand::beside(site, ["serve", "-c", "quaich.toml"]).finish();
    told.expect_code(1);
    told
}

#[test]
fn every_bad_file_has_a_message_with_reason_and_cure_in_one_run() {
    let (site, ca) = (TempSite::new(), Ca::new("test"));
    let good = ca.server(&["a.example"]);
    site.write("nokey.crt", &good.chain);
    site.write("nokey.key", &good.chain);
    site.write("empty.crt", "");
    site.write("empty.key", &good.key);
    site.write("der.crt", &good.der);
    site.write("der.key", &good.key);
    site.write("fits.crt", &good.chain);
    site.write("fits.key", &ca.server(&["a.example"]).key);
    site.write("locked.crt", &good.chain);
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    site.write("locked.key", encrypted);
    let told = refused(&site, &["gone", "nokey", "empty", "der", "fits", "locked"]);
    for text in [
        "certificate `gone`: ",
        "gone.crt does not exist",
        "nokey.key: there is no private key in it",
        "empty.crt is empty",
        "der.crt is not PEM but DER or PKCS#12",
        "help: convert it: openssl x509",
        "belongs to another certificate than the one in",
        "locked.key: the key is encrypted; decrypt it with `openssl pkey",
    ] {
        told.expect_error(text);
    }
    // `check` finds the same.
    let checked = QuaichCommand::beside(&site, ["check"]).finish();
    checked
        .expect_code(1)
        .expect_error("gone.crt does not exist");
    checked.expect_error("error: certificate `locked`");
    checked.expect_error("error: certificate `gone`");
    let checked = QuaichCommand::beside(&site, ["check", "--json"]).finish();
    checked.expect_code(1);
    let found: serde_json::Value = serde_json::from_str(&checked.stdout).unwrap();
    assert_eq!(found["errors"], 6, "{found}");
    let diagnostics = found["diagnostics"].as_array().unwrap();
    let der = diagnostics.iter().find(|one| {
        let message = one["message"].as_str().unwrap_or_default();
        message.contains("der.crt is not PEM")
    });
    let der = der.unwrap_or_else(|| panic!("{found}"));
    assert_eq!(
        (&der["code"], &der["severity"]),
        (&"certificate-file".into(), &"error".into())
    );
    assert!(
        der["help"].as_str().unwrap().starts_with("convert it: "),
        "{der}"
    );
}

#[test]
fn what_serves_but_clients_refuse_is_a_warning() {
    let (site, ca) = (TempSite::new(), Ca::new("test"));
    ca.expired(&["old.example"]).write(&site, "old");
    ca.server(&["a.example"]).write(&site, "other");
    let tables = format!("{}{}hosts = [\"b.example\"]\n", cert("old"), cert("other"));
    let quaich = Quaich::serve(
        site,
        &format!(
            "tls = true\n{tables}\n[site.main]\nhosts = [\"c.example\"]\n\
             [[site.main.route]]\nrespond = {{ status = 200, body = \"ok\" }}\n"
        ),
    );
    let log = quaich.log();
    log.wait_for("old.crt expired on 2002-01-01; clients refuse it");
    log.wait_for("other.crt does not have the name `b.example` of its `hosts`; it has `a.example`");
    log.wait_for("site `main`: no certificate has the name `c.example`");
    let listed = quaich.cli(["cert", "list"]);
    listed.expect_code(0);
    assert!(
        listed.stdout.contains("expired on 2002-01-01"),
        "{}",
        listed.stdout
    );
}

#[test]
fn cert_list_shows_names_issuer_and_days() {
    let (site, ca) = (TempSite::new(), Ca::new("An Authority"));
    ca.server(&["shop.example", "www.shop.example"])
        .write(&site, "shop");
    site.write(
        "quaich.toml",
        format!("[server]\n{}", config(&cert("shop"))),
    );
    let listed = QuaichCommand::beside(&site, ["cert", "list"]).finish();
    listed.expect_code(0);
    let row = listed.stdout.lines().nth(1).unwrap_or_default();
    for text in [
        "shop",
        "shop.example, www.shop.example",
        "file",
        "An Authority",
    ] {
        assert!(row.contains(text), "{text} in {row}");
    }
    let json = QuaichCommand::beside(&site, ["cert", "list", "--json"]).finish();
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["certificates"][0]["key"], "ECDSA P-256");
    assert!(json["certificates"][0]["days_left"].as_i64() > Some(80));
}

#[test]
fn a_key_that_we_may_not_read_says_who_we_are_and_whose_it_is() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let (site, ca) = (TempSite::new(), Ca::new("test"));
    ca.server(&["a.example"]).write(&site, "shop");
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    mode(&site.join("shop.key"), 0o600).unwrap();
    mode(site.path(), 0o755).unwrap();
    site.write(
        "quaich.toml",
        format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\n{}",
            config(&cert("shop"))
        ),
    );
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--clear-groups"])
        .arg(quaich_testkit::binary());
    command
        .args(["serve", "-c", "quaich.toml"])
        .current_dir(site.path());
    let out = command.output().unwrap();
    let told = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{told}");
    assert!(
        told.contains("shop.key cannot be read: quaich runs as nobody"),
        "{told}"
    );
    assert!(told.contains("belongs to root with mode 0600"), "{told}");
    assert!(told.contains("start quaich as root"), "{told}");
}

#[test]
fn the_local_ca_serves_localhost_and_is_kept() {
    let site = TempSite::new();
    let serve = |site: TempSite| {
        Quaich::command(
            site,
            ["respond", "--tls", "--body", "hi", "-b", "127.0.0.1:0"],
        )
    };
    let quaich = serve(site);
    let state = quaich.site().join(".local/state/quaich");
    let root = state.join("local-ca/root.pem");
    quaich
        .log()
        .wait_for("browsers warn of the local CA until you run: quaich trust");
    quaich.log().wait_for("https://127.0.0.1:");
    for name in ["localhost", "127.0.0.1"] {
        let port = quaich.addr().port();
        let mut command = Command::new("curl");
        command.args([
            "-sS",
            "--resolve",
            &format!("{name}:{port}:127.0.0.1"),
            "--cacert",
        ]);
        let out = command
            .arg(&root)
            .arg(format!("https://{name}:{port}/"))
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(String::from_utf8_lossy(&out.stdout), "hi", "{name}: {told}");
    }
    let before = fs::read(&root).unwrap();
    let listed = quaich.status();
    assert_eq!(listed["certificates"][0]["source"], "local", "{listed:#}");
    let printed = quaich.cli(["respond", "--tls", "--print-config"]);
    assert!(
        printed.stdout.contains("[tls]\nlocal_ca = true"),
        "{}",
        printed.stdout
    );
    // Another project of the same user has the same root.
    let home = quaich.site().path().to_owned();
    let again = QuaichCommand::new(TempSite::new(), ["respond", "--tls", "-b", "127.0.0.1:0"])
        .env("HOME", home)
        .start();
    assert_eq!(fs::read(&root).unwrap(), before);
    drop(again);
}

fn openssl(site: &TempSite, arguments: &str) {
    let mut command = Command::new("openssl");
    command
        .args(arguments.split_whitespace())
        .current_dir(site.path());
    let out = command.output().expect("openssl can be started");
    let error = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "openssl {arguments}: {error}");
}

/// `openssl ocsp` as a server, for the certificate of serial number 1; and its address.
fn responder(site: &TempSite) -> (Peer, String) {
    site.write(
        "index.txt",
        "V\t350101000000Z\t\t01\tunknown\t/CN=shop.example\n",
    );
    let mut command = Command::new("openssl");
    let arguments =
        "ocsp -port 0 -index index.txt -CA ca.pem -rsigner ca.pem -rkey ca.key -ndays 4";
    command.args(arguments.split(' ')).current_dir(site.path());
    let peer = Peer::start(&mut command);
    let line = peer.log().wait_for("ACCEPT ");
    let port = line.split(" PID").next().unwrap_or_default();
    let port = port.rsplit(':').next().unwrap_or_default();
    (peer, format!("http://127.0.0.1:{port}/"))
}

#[test]
fn an_ocsp_answer_is_stapled_to_a_certificate_that_names_a_responder() {
    let site = TempSite::new();
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(
        &site,
        &format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=ca -days 30"),
    );
    let (_responder, url) = responder(&site);
    site.write(
        "leaf.ext",
        format!("subjectAltName=DNS:shop.example\nauthorityInfoAccess=OCSP;URI:{url}\n"),
    );
    openssl(
        &site,
        &format!("req -new {key} -keyout shop.key -out shop.csr -subj /CN=shop.example"),
    );
    openssl(
        &site,
        "x509 -req -in shop.csr -CA ca.pem -CAkey ca.key -out leaf.pem -days 20 -set_serial 1 \
         -extfile leaf.ext",
    );
    site.write("shop.crt", site.read("leaf.pem") + &site.read("ca.pem"));
    let quaich = serve(site, &["shop"]);
    let script = format!(
        "openssl s_client -connect {} -servername shop.example -status </dev/null 2>/dev/null",
        quaich.addr()
    );
    eventually("a stapled answer", || {
        let out = Command::new("sh").args(["-c", &script]).output().unwrap();
        let shown = String::from_utf8_lossy(&out.stdout).into_owned();
        let good = shown.contains("OCSP Response Status: successful")
            && shown.contains("Cert Status: good");
        good.then_some(())
    });
    assert_eq!(quaich.status()["certificates"][0]["ocsp_stapled"], true);
}
