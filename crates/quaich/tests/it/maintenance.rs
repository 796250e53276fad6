//! Sites that are closed for a while: by configuration, by file, by command.

use quaich_testkit::{Quaich, QuaichCommand, Signal, TempSite, eventually};

fn serve(site: TempSite, keys: &str) -> Quaich {
    let toml = format!(
        "threads = 2\n[site.main]\n{keys}\
         [[site.main.route]]\npath = \"/health\"\nmaintenance = \"off\"\n\
         respond = {{ body = \"well\" }}\n\
         [[site.main.route]]\npath = \"/\"\nrespond = {{ body = \"ok\" }}\n"
    );
    Quaich::serve(site, &toml)
}

fn with_page() -> TempSite {
    let site = TempSite::new();
    site.write("closed.html", "closed {status}");
    site
}

fn is_closed(quaich: &Quaich) -> bool {
    quaich.get("/").status == 503
}

#[test]
fn a_closed_site_says_when_to_come_again_and_lets_some_in() {
    let keys = "maintenance = { page = \"closed.html\", retry_after = \"90s\", allow = [\"192.0.2.0/24\"] }\n";
    let site = with_page();
    let toml = format!(
        "trust = [\"127.0.0.0/8\"]\n[site.main]\n{keys}\
         [[site.main.route]]\npath = \"/health\"\nmaintenance = \"off\"\nrespond = {{ body = \"well\" }}\n\
         [[site.main.route]]\npath = \"/\"\nrespond = {{ body = \"ok\" }}\n"
    );
    let quaich = Quaich::serve(site, &toml);
    // What no route takes is closed as well.
    for path in ["/", "/nowhere"] {
        let page = quaich.get(path);
        page.expect_status(503).expect_body("closed 503");
        page.expect_header("retry-after", "90");
    }
    quaich.get("/health").expect_status(200).expect_body("well");
    let staff = "X-Forwarded-For: 192.0.2.7\r\n";
    quaich.request("GET", "/", staff, b"").expect_status(200);
    let other = "X-Forwarded-For: 198.51.100.7\r\n";
    quaich.request("GET", "/", other, b"").expect_status(503);
    assert_eq!(quaich.status()["front"]["counters"]["maintenance"], 3);
    quaich.log().wait_for("maintenance");
}

#[test]
fn a_closed_site_lets_in_who_a_named_condition_holds_for() {
    let toml = "[acl.staff]\nheader = { x-staff = \"yes\" }\n[acl.tests]\ncookie = { tests = \"1\" }\n\
                [site.main]\nmaintenance = { allow = [\"staff\", \"192.0.2.0/24\", \"tests\"] }\n\
                [[site.main.route]]\npath = \"/\"\nrespond = { body = \"ok\" }\n";
    let quaich = Quaich::serve(TempSite::new(), toml);
    let status = |fields: &str| quaich.request("GET", "/", fields, b"").status;
    assert_eq!(status(""), 503);
    assert_eq!(status("X-Staff: yes\r\n"), 200);
    assert_eq!(status("X-Staff: no\r\n"), 503);
    assert_eq!(status("Cookie: a=b; tests=1\r\n"), 200);
    assert_eq!(status("Cookie: tests=0\r\n"), 503);
    // Also where no route is found.
    let fields = "X-Staff: yes\r\n";
    quaich
        .request("GET", "/nowhere", fields, b"")
        .expect_status(404);
    quaich.get("/nowhere").expect_status(503);
}

#[test]
fn a_condition_that_nobody_named_is_no_one_to_let_in() {
    let site = TempSite::new();
    site.write(
        "quaich.toml",
        "[acl.staff]\nheader = { x-staff = \"yes\" }\n[site.main]\nroot = \".\"\n\
         maintenance = { allow = [\"stuff\"] }\n",
    );
    let said = QuaichCommand::beside(&site, ["check"]).finish();
    said.expect_error("stuff").expect_error("staff");
}

#[test]
fn a_site_is_closed_and_opened_by_command_also_for_the_next_front() {
    let quaich = serve(TempSite::new(), "");
    assert!(!is_closed(&quaich));
    let said = quaich.cli(["maintenance", "on", "main"]);
    said.expect_code(0);
    assert_eq!(
        said.stdout.trim_end(),
        "site main is closed for maintenance, by command"
    );
    // It is in effect when the command returns, on every thread.
    for _ in 0..8 {
        let page = quaich.request("GET", "/", "Accept: text/html\r\n", b"");
        page.expect_status(503).expect_header("retry-after", "600");
        assert!(
            page.text().contains("Service unavailable"),
            "{}",
            page.text()
        );
    }
    quaich.get("/health").expect_status(200);
    assert_eq!(quaich.status()["maintenance"][0]["closed"], true);
    let shown = quaich.cli(["status"]).stdout;
    assert!(
        shown.contains("site main is closed for maintenance, by command"),
        "{shown}"
    );

    Quaich::signal_process(quaich.front(), Signal::KILL);
    quaich.log().wait_for("the front died and is replaced");
    assert!(is_closed(&quaich));

    let said = quaich.cli(["maintenance", "auto", "main"]);
    assert_eq!(
        said.stdout.trim_end(),
        "site main is open, by configuration"
    );
    assert!(!is_closed(&quaich));
    let again = quaich.cli(["maintenance", "off", "main", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&again.stdout).expect("JSON");
    assert_eq!(json["changed"], false, "{json}");
    quaich
        .cli(["maintenance", "on", "mian"])
        .expect_error("did you mean `main`?");
}

#[test]
fn a_file_closes_the_site_while_it_is_there() {
    let site = with_page();
    let quaich = serve(
        site,
        "maintenance = { page = \"closed.html\", when_file = \"closed.flag\" }\n",
    );
    assert!(!is_closed(&quaich));
    quaich.site().write("closed.flag", "");
    quaich.log().wait_for("closed for maintenance");
    eventually("closed", || is_closed(&quaich).then_some(()));
    // Who says that it is open is believed before the file.
    quaich.cli(["maintenance", "off", "main"]).expect_code(0);
    assert!(!is_closed(&quaich));
    quaich.cli(["maintenance", "auto", "main"]).expect_code(0);
    assert!(is_closed(&quaich));
    std::fs::remove_file(quaich.site().join("closed.flag")).expect("removed");
    quaich.log().wait_for("open again after maintenance");
    eventually("open", || (!is_closed(&quaich)).then_some(()));
}

#[test]
fn a_file_that_is_there_at_the_start_closes_the_site() {
    let site = with_page();
    site.write("closed.flag", "");
    let quaich = serve(site, "maintenance = { when_file = \"closed.flag\" }\n");
    quaich.get("/").expect_status(503);
}

#[test]
fn requests_that_run_when_the_site_is_closed_end_undisturbed() {
    use quaich_testkit::Origin;
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let origin = Origin::start(move |conversation| {
        while conversation.request().is_some() {
            conversation.write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nbeg");
            let _ = wait.lock().expect("one at a time").recv();
            conversation.write("ins");
        }
    });
    let toml = format!("[site.main]\nproxy = \"{}\"\n", origin.url());
    let quaich = Quaich::serve(TempSite::new(), &toml);
    let mut client = quaich.raw();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    origin.wait_for_requests(1);
    quaich.cli(["maintenance", "on", "main"]).expect_code(0);
    quaich.get("/").expect_status(503);
    go.send(()).expect("it waits");
    client.response().expect_status(200).expect_body("begins");
}

#[test]
fn the_route_says_that_it_is_closed() {
    let site = with_page();
    site.write(
        "quaich.toml",
        "[server]\nlisten = \":80\"\n[site.main]\nroot = \".\"\nmaintenance = \"closed.html\"\n",
    );
    let said = QuaichCommand::beside(&site, ["route", "http://a/"]).finish();
    assert!(
        said.stdout
            .contains("maintenance: 503 for all, come again after 10m"),
        "{}",
        said.stdout
    );
}
