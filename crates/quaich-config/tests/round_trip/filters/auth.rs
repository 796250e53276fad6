//! `auth`: who may come in.

use std::time::Duration;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use quaich_config::model::*;

/// How many tables there are.
const TABLES: usize = 3;

/// Of a site or route.
pub fn any() -> impl Strategy<Value = Access> {
    subsequence((0..TABLES).collect::<Vec<_>>(), 0..=TABLES).prop_map(|ways| Access { ways })
}

/// All of `[auth.NAME]`.
pub fn tables() -> impl Strategy<Value = Vec<Auth>> {
    vec(table(), TABLES).prop_map(|mut tables| {
        for (index, table) in tables.iter_mut().enumerate() {
            table.name = format!("way-{index}");
        }
        tables
    })
}

/// Without those that ask a server that does not speak HTTP.
pub fn fitting(mut tables: Vec<Auth>, upstream: &Upstream) -> Vec<Auth> {
    let http = |protocol| matches!(protocol, UpstreamProtocol::Http | UpstreamProtocol::H2c);
    if !upstream.servers.iter().all(|server| http(server.protocol)) {
        for table in &mut tables {
            if matches!(table.proof, Proof::Forward(_)) {
                table.proof = Proof::Certificate {
                    user: CertificateName::Common,
                    allow: Vec::new(),
                };
            }
        }
    }
    tables
}

fn table() -> impl Strategy<Value = Auth> {
    let networks = select(vec![
        Network {
            addr: [10, 0, 0, 0].into(),
            prefix: 8,
        },
        Network {
            addr: "2001:db8::".parse().expect("an address"),
            prefix: 32,
        },
    ]);
    (proof(), of(field()), vec(networks, 0..3)).prop_map(|(proof, user_field, or_from)| Auth {
        name: String::new(),
        proof,
        user_field,
        or_from,
    })
}

fn field() -> impl Strategy<Value = String> {
    "X-[A-Z][a-z]{1,6}"
}

fn proof() -> impl Strategy<Value = Proof> {
    let realm = "([!-~]([ -~]{0,10}[!-~])?)?";
    let basic = (realm, crate::file(), proptest::bool::ANY);
    let basic = basic.prop_map(|(realm, users, pass_on)| Proof::Basic {
        realm,
        users,
        pass_on,
    });
    let names = select(vec![
        CertificateName::Common,
        CertificateName::Subject,
        CertificateName::Email,
        CertificateName::Dns,
    ]);
    let certificate = (names, vec(crate::text(), 0..3));
    let certificate = certificate.prop_map(|(user, allow)| Proof::Certificate { user, allow });
    prop_oneof![basic, certificate, forward()]
}

fn forward() -> impl Strategy<Value = Proof> {
    let method = select(vec![None, Some("GET"), Some("HEAD"), Some("POST")]);
    let names = (vec(field(), 0..3), of(field()));
    let rest = (1_u64..100_000, proptest::bool::ANY);
    ("/[!-\"$-~]{0,12}", method, names, rest).prop_map(
        |(path, method, (copy, user_from), (millis, cookies))| {
            Proof::Forward(Box::new(ForwardAuth {
                upstream: 0,
                path,
                host: None,
                method: method.map(str::to_owned),
                timeout: Duration::from_millis(millis),
                copy,
                user_from,
                cookies,
            }))
        },
    )
}
