//! Error pages from files: for whom, in which form, in whose place.

use quaich_testkit::{Origin, Quaich, QuaichCommand, TempSite, eventually};

const PAGE: &str = "<!doctype html><style>b{color:red}</style><h1>{status} {reason}</h1>\
                    <p>{host} {header.x-name} <code>{request_id}</code>";

fn site() -> TempSite {
    let site = TempSite::new();
    site.write("errors/404.html", PAGE);
    site.write(
        "errors/404.json",
        "{\"code\": {status}, \"id\": \"{request_id}\"}",
    );
    site.write("errors/50x.html", "<h1>down: {status}</h1>");
    site
}

const PAGES: &str = "error_pages = { 404 = \"errors/404.html\", 5xx = \"errors/50x.html\" }\n";

#[test]
fn a_page_comes_from_its_file_filled_in_and_escaped() {
    let toml = format!("[site.main]\n{PAGES}[[site.main.route]]\npath = \"/a\"\nstatus = 404\n");
    let quaich = Quaich::serve(site(), &toml);
    // A route that says so, and none at all.
    for path in ["/a", "/nowhere"] {
        let page = quaich.request("GET", path, "X-Name: <script>\r\n", b"");
        page.expect_status(404);
        page.expect_header("content-type", "text/html; charset=utf-8");
        page.expect_header("cache-control", "no-store");
        let id = page.header("x-request-id").expect("an id").to_owned();
        let expected = format!(
            "<!doctype html><style>b{{color:red}}</style><h1>404 Not Found</h1>\
             <p>test &lt;script&gt; <code>{id}</code>"
        );
        page.expect_body(&expected);
        let head = quaich.request("HEAD", path, "X-Name: <script>\r\n", b"");
        head.expect_status(404).expect_body("");
        head.expect_header("content-length", &expected.len().to_string());
    }
}

#[test]
fn who_asks_for_json_gets_json_of_the_file_beside_or_built_in() {
    let toml = format!("[site.main]\n{PAGES}[[site.main.route]]\npath = \"/503\"\nstatus = 503\n");
    let quaich = Quaich::serve(site(), &toml);
    let own = quaich.request("GET", "/x", "Accept: application/json\r\n", b"");
    own.expect_status(404);
    own.expect_header("content-type", "application/json");
    assert_eq!(own.json()["code"], 404);
    assert_eq!(own.json()["id"], own.header("x-request-id").expect("an id"));
    let built_in = quaich.request("GET", "/503", "Accept: application/json\r\n", b"");
    built_in.expect_status(503);
    assert_eq!(built_in.json()["title"], "Service unavailable");
    quaich.get("/503").expect_body("<h1>down: 503</h1>");
}

#[test]
fn the_page_is_there_when_the_server_behind_is_dead() {
    let gone = Origin::ok();
    let url = gone.url();
    drop(gone);
    let toml = format!("[site.main]\n{PAGES}proxy = \"{url}\"\n");
    let quaich = Quaich::serve(site(), &toml);
    quaich
        .get("/")
        .expect_status(502)
        .expect_body("<h1>down: 502</h1>");
    let counters = &quaich.status()["front"]["counters"];
    assert_eq!(counters["error_pages"], 1);
    assert_eq!(counters["errors_replaced"], 0);
}

#[test]
fn a_route_adds_to_the_pages_of_its_site_and_takes_some_away() {
    let site = site();
    site.write("errors/own.html", "own");
    let toml = format!(
        "[site.main]\n{PAGES}\
         [[site.main.route]]\npath = \"/own\"\nstatus = 404\nerror_pages = {{ 404 = \"errors/own.html\" }}\n\
         [[site.main.route]]\npath = \"/as\"\nstatus = 503\n\
         error_pages = {{ 503 = {{ page = \"errors/own.html\", status = 200 }} }}\n\
         [[site.main.route]]\npath = \"/less\"\nstatus = 404\nerror_pages = {{ 404 = \"off\" }}\n\
         [[site.main.route]]\npath = \"/none\"\nstatus = 503\nerror_pages = \"off\"\n"
    );
    let quaich = Quaich::serve(site, &toml);
    quaich.get("/own").expect_status(404).expect_body("own");
    quaich.get("/as").expect_status(200).expect_body("own");
    for path in ["/less", "/none"] {
        let page = quaich.get(path);
        assert!(
            page.text().contains("\n\n"),
            "built-in text: {}",
            page.text()
        );
    }
}

#[test]
fn errors_of_a_server_are_replaced_where_that_is_asked_for() {
    let origin = Origin::answering(|request| match request.target() {
        "/401" => b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=x\r\nSet-Cookie: a=b\r\n\
                    X-Powered-By: it\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nwhy??"
            .to_vec(),
        "/500" => b"HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ntrace\r\n0\r\n\r\n"
            .to_vec(),
        "/404" => b"HTTP/1.1 404 No\r\nContent-Length: 3\r\n\r\nown".to_vec(),
        _ => b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec(),
    });
    let toml = format!(
        "threads = 1\n[site.main]\n{PAGES}proxy = \"{}\"\nreplace_errors = [401, \"5xx\"]\n",
        origin.url()
    );
    let quaich = Quaich::serve(site(), &toml);
    let mut client = quaich.raw();
    client.send("GET /401 HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n");
    let page = client.response();
    page.expect_status(401);
    page.expect_header("www-authenticate", "Basic realm=x");
    page.expect_header("set-cookie", "a=b");
    assert_eq!(page.header("x-powered-by"), None);
    assert_eq!(page.header("content-encoding"), None);
    assert!(page.text().contains("Sign-in required"), "{}", page.text());
    client
        .get("/500")
        .expect_status(500)
        .expect_body("<h1>down: 500</h1>");
    client.get("/404").expect_status(404).expect_body("own");
    client.get("/").expect_status(200).expect_body("ok");
    let mut head = quaich.raw();
    head.send("HEAD /500 HTTP/1.1\r\nHost: a\r\n\r\n");
    head.response_to("HEAD")
        .expect_status(500)
        .expect_header("content-length", "18");
    // Both ends were kept: nothing was left on the connection that it could stumble over.
    assert_eq!(origin.connections(), 1);
    assert_eq!(quaich.status()["front"]["counters"]["errors_replaced"], 3);
}

#[test]
fn an_error_that_does_not_end_is_replaced_at_once() {
    let origin = Origin::start(|conversation| {
        while let Some(request) = conversation.request() {
            conversation.write("HTTP/1.1 500 No\r\nContent-Length: 100000\r\n\r\nbegin");
            // The rest never comes; whoever waits for it waits for ever.
            let _ = request;
            conversation.read();
        }
    });
    let toml = format!(
        "[site.main]\n{PAGES}replace_errors = true\nproxy = \"{}\"\n",
        origin.url()
    );
    let quaich = Quaich::serve(site(), &toml);
    for _ in 0..2 {
        quaich
            .get("/")
            .expect_status(500)
            .expect_body("<h1>down: 500</h1>");
    }
    assert_eq!(origin.connections(), 2);
}

const FAILING: &str = "
def application(environ, start_response):
    path = environ['PATH_INFO']
    status = '500 Oops' if path.startswith('/fail') else '200 OK'
    start_response(status, [('Content-Type', 'text/plain'), ('Set-Cookie', 'a=b')])
    if path == '/fail-long':
        return (b'x' * 65536 for _ in range(40))
    return [b'trace of ' + path.encode()]
";

#[test]
fn errors_of_an_app_are_replaced_and_its_worker_goes_on() {
    let site = site();
    site.write("app.py", FAILING);
    let python = quaich_testkit::python().display().to_string();
    let toml = format!(
        "[app.main]\nmodule = \"app:application\"\npython = \"{python}\"\nworkers = 1\nthreads = 1\n\
         [site.main]\n{PAGES}replace_errors = true\napp = \"main\"\n"
    );
    let quaich = Quaich::serve(site, &toml);
    let worker = quaich.workers();
    let mut client = quaich.raw();
    for path in ["/fail", "/fail-long", "/fail"] {
        let page = client.get(path);
        page.expect_status(500).expect_body("<h1>down: 500</h1>");
        page.expect_header("set-cookie", "a=b");
        page.expect_header("content-type", "text/html; charset=utf-8");
        client
            .get("/ok")
            .expect_status(200)
            .expect_body("trace of /ok");
    }
    assert_eq!(quaich.workers(), worker);
}

#[test]
fn a_file_that_changes_is_taken_and_a_bad_one_is_not() {
    let toml = format!("[site.main]\n{PAGES}[[site.main.route]]\npath = \"/\"\nstatus = 503\n");
    let quaich = Quaich::serve(site(), &toml);
    quaich.get("/").expect_body("<h1>down: 503</h1>");
    quaich.site().write("errors/new.html", "new {status}");
    let (new, old) = ("errors/new.html", "errors/50x.html");
    let paths = [new, old].map(|name| quaich.site().join(name));
    std::fs::rename(&paths[0], &paths[1]).expect("renamed");
    quaich.log().wait_for("50x.html was replaced");
    eventually("the new page", || {
        (quaich.get("/").text() == "new 503").then_some(())
    });
    std::fs::remove_file(&paths[1]).expect("removed");
    quaich
        .log()
        .wait_for("what was read before goes on being used");
    quaich.get("/").expect_body("new 503");
    // A front that takes another's place has it as well.
    let front = quaich.front();
    Quaich::signal_process(front, quaich_testkit::Signal::KILL);
    quaich.log().wait_for("the front died and is replaced");
    quaich.get("/").expect_body("new 503");
}

#[test]
fn a_page_that_cannot_be_read_is_said_before_anything_starts() {
    let site = TempSite::new();
    site.write("big.html", vec![b'x'; (1 << 20) + 1]);
    site.write(
        "quaich.toml",
        "[server]\nlisten = \"127.0.0.1:0\"\n[site.main]\nroot = \".\"\n\
         error_pages = { 404 = \"no.html\", 5xx = \"big.html\" }\n",
    );
    let check = QuaichCommand::beside(&site, ["check"]).finish();
    check.expect_code(1);
    check.expect_error("error page of site `main`: ");
    check.expect_error("no.html does not exist");
    check.expect_error("big.html is larger than 1 MiB");
    let serve = QuaichCommand::beside(&site, ["serve"]).finish();
    serve.expect_code(1).expect_error("no.html does not exist");
    let json = QuaichCommand::beside(&site, ["check", "--json"]).finish();
    let found: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(found["errors"], 2);
    assert_eq!(found["diagnostics"][0]["code"], "text-file");
}

#[test]
fn the_route_says_which_pages_it_has() {
    let site = site();
    site.write(
        "quaich.toml",
        &format!(
            "[server]\nlisten = \":80\"\n[site.main]\nroot = \".\"\n{PAGES}replace_errors = true\n"
        ),
    );
    let said = QuaichCommand::beside(&site, ["route", "http://a/"]).finish();
    assert!(said.stdout.contains("error pages: 404 "), "{}", said.stdout);
    assert!(
        said.stdout
            .contains("also for errors of the app or upstream"),
        "{}",
        said.stdout
    );
}
