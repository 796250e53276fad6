//! Certificates of clients as apps see them.

use quaich_testkit::{Ca, Quaich, RawClient, TempSite, TlsClient};

use crate::apps::{ENVIRON, table};

fn serve(mode: &str, ca: &Ca) -> Quaich {
    let site = TempSite::new();
    site.write("app.py", ENVIRON);
    site.write("clients.pem", ca.pem());
    ca.server(&["test"]).write(&site, "server");
    let client = match mode {
        "off" => String::new(),
        mode => format!("[tls.client]\nmode = \"{mode}\"\nca = \"clients.pem\"\n"),
    };
    let config = format!(
        "tls = true\n[tls.cert.a]\ncert = \"server.crt\"\nkey = \"server.key\"\n{client}\
         {}\n[site.main]\nhosts = [\"*\"]\napp = \"main\"\n",
        table("workers = 1\nthreads = 1")
    );
    Quaich::serve(site, &config)
}

fn environ(quaich: &Quaich, client: &TlsClient) -> serde_json::Value {
    let mut connection = RawClient::connect_tls(quaich.addr(), client);
    connection.send(
        "GET / HTTP/1.1\r\nHost: test\r\nX-SSL-Client-S-DN: CN=root\r\nSSL-Client-Verify: SUCCESS\r\n\
         Client-Cert: :AAAA:\r\n\r\n",
    );
    connection.response().json()
}

#[test]
fn an_app_learns_who_the_client_is() {
    let ca = Ca::new("Clients");
    let quaich = serve("request", &ca);
    let environ_of_nobody = environ(&quaich, &TlsClient::believing(&ca));
    assert_eq!(environ_of_nobody["SSL_CLIENT_VERIFY"], "NONE");
    assert!(environ_of_nobody.get("SSL_CLIENT_S_DN").is_none());
    let environ = environ(&quaich, &TlsClient::showing(&ca.client("alice")));
    for (name, value) in [
        ("HTTPS", "on"),
        ("wsgi.url_scheme", "https"),
        ("SSL_PROTOCOL", "TLSv1.3"),
        ("SSL_CLIENT_VERIFY", "SUCCESS"),
        ("SSL_CLIENT_S_DN", "O=Quaich Tests,CN=alice"),
        ("SSL_CLIENT_I_DN", "CN=Clients"),
    ] {
        assert_eq!(environ[name], value, "{name}: {environ}");
    }
    let pem = environ["SSL_CLIENT_CERT"].as_str().unwrap();
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----\n"), "{pem}");
    for forged in [
        "HTTP_X_SSL_CLIENT_S_DN",
        "HTTP_SSL_CLIENT_VERIFY",
        "HTTP_CLIENT_CERT",
    ] {
        assert!(environ.get(forged).is_none(), "{forged}");
    }
}

#[test]
fn an_app_is_told_nothing_of_certificates_that_nobody_asks_for() {
    let ca = Ca::new("Clients");
    let quaich = serve("off", &ca);
    let environ = environ(&quaich, &TlsClient::showing(&ca.client("alice")));
    assert_eq!(environ["SSL_PROTOCOL"], "TLSv1.3");
    let keys = environ.as_object().unwrap().keys();
    let told: Vec<_> = keys.filter(|key| key.contains("SSL_CLIENT")).collect();
    assert!(told.is_empty(), "{told:?}");
}
