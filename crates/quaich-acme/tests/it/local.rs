//! Certificates of the local CA, as openssl judges them.

use std::process::Command;

use quaich_acme::local_ca;
use quaich_testkit::TempSite;

#[test]
fn openssl_believes_them_strictly() {
    let state = TempSite::new();
    let ca = local_ca::ensure(state.path()).unwrap();
    let names = ["localhost", "*.shop.localhost", "127.0.0.1", "::1"].map(String::from);
    let made = local_ca::certificate(&ca, state.path(), &names).unwrap();
    for (kind, name) in [
        ("-verify_hostname", "localhost"),
        // openssl and browsers take no wildcard of a single label, such as `*.localhost`.
        ("-verify_hostname", "a.shop.localhost"),
        ("-verify_ip", "127.0.0.1"),
        ("-verify_ip", "::1"),
    ] {
        let mut command = Command::new("openssl");
        command.args([
            "verify",
            "-x509_strict",
            "-purpose",
            "sslserver",
            kind,
            name,
        ]);
        command
            .arg("-CAfile")
            .arg(local_ca::root_pem_path(state.path()));
        let out = command.arg(&made.file).output().unwrap();
        assert!(out.status.success(), "{name}: {out:?}");
    }
}

#[test]
fn two_that_begin_at_once_make_one_ca() {
    let state = TempSite::new();
    let roots: Vec<String> = std::thread::scope(|scope| {
        let one = || {
            local_ca::ensure(state.path())
                .unwrap()
                .root_pem()
                .to_string()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(roots.iter().all(|root| *root == roots[0]));
}
