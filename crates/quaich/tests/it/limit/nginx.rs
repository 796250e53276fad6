//! Beside real nginx: the same bursts, the same requests let in.

use std::fmt::Write;

use quaich_testkit::{Quaich, RawClient, TempSite};

use crate::peers;

/// nginx's `burst`.
const BURSTS: [u32; 4] = [0, 1, 5, 20];

fn statuses(client: &mut RawClient, path: &str) -> Vec<u16> {
    (0..30).map(|_| client.get(path).status).collect()
}

#[test]
fn a_burst_of_n_in_nginx_is_one_of_n_and_one_here() {
    let site = TempSite::new();
    site.write("public/ok", "ok");
    let (mut zones, mut places) = (String::new(), String::new());
    let (mut limits, mut routes) = (String::new(), String::new());
    let root = site.path().join("public");
    for burst in BURSTS {
        let given = match burst {
            0 => String::new(),
            burst => format!("burst={burst} nodelay"),
        };
        let _ = writeln!(
            zones,
            "limit_req_zone $request_method zone=z{burst}:1m rate=2r/m;"
        );
        let _ = writeln!(
            places,
            "location /b{burst} {{ limit_req zone=z{burst} {given}; limit_req_status 429; \
             root {}; try_files /ok =404; }}",
            root.display()
        );
        let here = burst + 1;
        let _ = write!(
            limits,
            "[limit.b{burst}]\nrate = \"2/min\"\nburst = {here}\nkey = \"{{method}}\"\n"
        );
        let _ = write!(
            routes,
            "[[site.main.route]]\npath = \"/b{burst}\"\nlimit = \"b{burst}\"\n\
             respond = {{ body = \"ok\" }}\n"
        );
    }
    // Zones stand beside servers: the first server ends before them, another begins behind.
    let unused = site.join("unused.sock");
    let server = format!(
        "{places} }}\n{zones}\nserver {{ listen unix:{};",
        unused.display()
    );
    let Some(_nginx) = peers::nginx(&site, &server) else {
        return;
    };
    let quaich = Quaich::serve(TempSite::new(), &format!("{limits}{routes}"));
    for burst in BURSTS {
        let path = format!("/b{burst}");
        let theirs = statuses(
            &mut RawClient::connect_unix(&site.join("nginx.sock")),
            &path,
        );
        let ours = statuses(&mut quaich.raw(), &path);
        assert_eq!(ours, theirs, "burst={burst}");
        let admitted = ours.iter().filter(|status| **status == 200).count();
        assert_eq!(admitted, burst as usize + 1);
    }
}
