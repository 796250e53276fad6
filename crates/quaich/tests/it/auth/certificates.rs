//! The certificate of the client.

use quaich_testkit::{Ca, Quaich, RawClient, Response, TempSite, TlsClient};

use crate::apps::{ENVIRON, table};

fn serve(ca: &Ca, mtls: &str) -> Quaich {
    let site = TempSite::new();
    site.write("app.py", ENVIRON);
    site.write("clients.pem", ca.pem());
    ca.server(&["test"]).write(&site, "server");
    let config = format!(
        "tls = true\n[tls.cert.a]\ncert = \"server.crt\"\nkey = \"server.key\"\n\
         [tls.client]\nmode = \"request\"\nca = \"clients.pem\"\n{}\n[auth.cards]\nmtls = {mtls}\n\
         [site.main]\nhosts = [\"*\"]\napp = \"main\"\nauth = \"cards\"\n",
        table("workers = 1\nthreads = 1")
    );
    Quaich::serve(site, &config)
}

fn get(quaich: &Quaich, client: &TlsClient) -> Response {
    let mut connection = RawClient::connect_tls(quaich.addr(), client);
    connection.send("GET / HTTP/1.1\r\nHost: test\r\nX-Remote-User: root\r\n\r\n");
    connection.response()
}

#[test]
fn a_certificate_is_as_good_as_a_password() {
    let ca = Ca::new("Clients");
    let quaich = serve(&ca, "{}");
    get(&quaich, &TlsClient::believing(&ca)).expect_status(403);
    let environ = get(&quaich, &TlsClient::showing(&ca.client("alice"))).json();
    assert_eq!(environ["REMOTE_USER"], "alice");
    assert_eq!(environ["AUTH_TYPE"], "Certificate");
    assert_eq!(environ["HTTP_X_REMOTE_USER"], "alice");
}

#[test]
fn only_those_whose_name_fits_come_in() {
    let ca = Ca::new("Clients");
    let quaich = serve(&ca, "{ user = \"subject\", allow = [\"*,CN=al*\"] }");
    let environ = get(&quaich, &TlsClient::showing(&ca.client("alice"))).json();
    assert_eq!(environ["REMOTE_USER"], "O=Quaich Tests,CN=alice");
    get(&quaich, &TlsClient::showing(&ca.client("bob"))).expect_status(403);
    // It has no mail address, hence no name.
    let quaich = serve(&ca, "{ user = \"san-email\" }");
    get(&quaich, &TlsClient::showing(&ca.client("alice"))).expect_status(403);
}
