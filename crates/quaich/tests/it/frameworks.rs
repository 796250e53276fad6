//! Real frameworks through `quaich run`, at `/` and under a mount, inside the standard library's
//! validator: Django with its admin, Flask, Falcon, Bottle.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use quaich_testkit::{
    Quaich, QuaichCommand, RawClient, Response, TempSite, python, requires_python,
};

/// Copies a project of `tests/projects` into a test's folder.
pub(crate) fn copy_project(name: &str, site: &TempSite) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/projects")
        .join(name);
    copy_tree(&from, site.path());
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("the project is there").flatten() {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            if entry.file_name() != "__pycache__" {
                copy_tree(&source, &target);
            }
        } else {
            fs::copy(&source, &target).expect("a file can be copied");
        }
    }
}

/// Serves a project with `quaich run`, under `mount` (`""` = none).
fn run(site: TempSite, app: &str, mount: &str, more: &[&str]) -> Quaich {
    let python = python().display().to_string();
    let mut args = vec!["run", app, "-b", "127.0.0.1:0", "-w", "2", "--threads", "2"];
    args.extend(["--python", &python]);
    if !mount.is_empty() {
        args.extend(["--mount", mount]);
    }
    args.extend(more);
    QuaichCommand::new(site, args)
        .env("SHOP_STATIC_URL", format!("{mount}/static/"))
        .start()
}

fn manage(site: &TempSite, args: &[&str]) {
    let out = Command::new(python())
        .arg("manage.py")
        .args(args)
        .current_dir(site.path())
        .env("DJANGO_SUPERUSER_PASSWORD", "uisge")
        .output()
        .expect("python can be started");
    assert!(
        out.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
}

/// A client that keeps cookies, on one connection.
struct Browser {
    client: RawClient,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    fn new(quaich: &Quaich) -> Self {
        Self {
            client: quaich.raw(),
            cookies: BTreeMap::new(),
        }
    }

    #[track_caller]
    fn get(&mut self, target: &str) -> Response {
        self.send("GET", target, "", b"")
    }

    #[track_caller]
    fn post_form(&mut self, target: &str, form: &str) -> Response {
        let fields = "Content-Type: application/x-www-form-urlencoded\r\n";
        self.send("POST", target, fields, form.as_bytes())
    }

    /// Uploads one file as a browser's form does.
    #[track_caller]
    fn upload(&mut self, target: &str, content: &[u8]) -> Response {
        let fields = "Content-Type: multipart/form-data; boundary=cut\r\n";
        let mut body =
            b"--cut\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\
                         Content-Type: application/octet-stream\r\n\r\n"
                .to_vec();
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n--cut--\r\n");
        self.send("POST", target, fields, &body)
    }

    #[track_caller]
    fn send(&mut self, method: &str, target: &str, fields: &str, body: &[u8]) -> Response {
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: shop.test\r\n{fields}");
        if !self.cookies.is_empty() {
            let pairs: Vec<String> = self
                .cookies
                .iter()
                .map(|(k, v)| format!("{k}={v}"))
                .collect();
            head.push_str(&format!("Cookie: {}\r\n", pairs.join("; ")));
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        self.client.send(head).send(body);
        let response = self.client.response();
        for cookie in response.headers("set-cookie") {
            let pair = cookie
                .split(';')
                .next()
                .and_then(|pair| pair.split_once('='));
            if let Some((name, value)) = pair {
                self.cookies.insert(name.to_string(), value.to_string());
            }
        }
        response
    }
}

/// The hidden field that Django's forms carry.
fn csrf_token(page: &str) -> String {
    let after = page
        .split("csrfmiddlewaretoken\" value=\"")
        .nth(1)
        .expect("a form");
    after.split('"').next().expect("a value").to_string()
}

fn silent_validator(quaich: &Quaich) {
    let log = quaich.log().text();
    assert!(
        !log.contains("AssertionError") && !log.contains("WSGIWarning"),
        "{log}"
    );
}

fn django(mount: &str) {
    if !requires_python(&["django"]) {
        return;
    }
    let site = TempSite::new();
    copy_project("shop", &site);
    manage(&site, &["migrate", "--verbosity", "0"]);
    manage(
        &site,
        &[
            "createsuperuser",
            "--noinput",
            "--username",
            "host",
            "--email",
            "h@shop.test",
        ],
    );
    manage(&site, &["collectstatic", "--noinput", "--verbosity", "0"]);
    let folder = format!("{mount}/static=collected");
    let quaich = run(site, ".", mount, &["--static", &folder]);
    let mut browser = Browser::new(&quaich);

    browser
        .get(&format!("{mount}/"))
        .expect_body("the shop is open");
    browser
        .get(&format!("{mount}/link/"))
        .expect_body(&format!("http://shop.test{mount}/count/"));

    let refused = browser.get(&format!("{mount}/admin/"));
    refused.expect_status(302).expect_header(
        "location",
        &format!("{mount}/admin/login/?next={mount}/admin/"),
    );
    let login = format!("{mount}/admin/login/?next={mount}/admin/");
    let form = browser.get(&login);
    form.expect_status(200);
    let stylesheet = form
        .text()
        .split("href=\"")
        .nth(1)
        .expect("a stylesheet")
        .to_string();
    let stylesheet = stylesheet.split('"').next().expect("a link").to_string();
    assert!(
        stylesheet.starts_with(&format!("{mount}/static/admin/")),
        "{stylesheet}"
    );
    let css = browser.get(&stylesheet);
    css.expect_status(200);
    assert!(
        css.header("etag").is_some(),
        "served by quaich, not by the app"
    );

    browser
        .post_form(&login, "username=host&password=uisge")
        .expect_status(403);
    let token = csrf_token(&form.text());
    let entered = browser.post_form(
        &login,
        &format!("csrfmiddlewaretoken={token}&username=host&password=uisge&next={mount}/admin/"),
    );
    entered
        .expect_status(302)
        .expect_header("location", &format!("{mount}/admin/"));
    let inside = browser.get(&format!("{mount}/admin/"));
    inside.expect_status(200);
    assert!(inside.text().contains("Site administration"));

    for n in 1..=3 {
        assert_eq!(browser.get(&format!("{mount}/count/")).json()["count"], n);
    }
    silent_validator(&quaich);
}

#[test]
fn django_with_its_admin_works_at_the_root() {
    django("");
}

#[test]
fn django_with_its_admin_works_under_a_mount() {
    django("/x");
}

#[test]
fn django_takes_a_large_upload_and_streams_a_large_download() {
    if !requires_python(&["django"]) {
        return;
    }
    let site = TempSite::new();
    copy_project("shop", &site);
    let quaich = run(site, ".", "", &["--max-body", "64MiB"]);
    let mut browser = Browser::new(&quaich);
    let content: Vec<u8> = (0..50_000_000_u32).map(|n| (n % 229) as u8).collect();
    let answer = browser.upload("/upload/", &content);
    assert_eq!(answer.expect_status(200).json()["size"], 50_000_000);
    let download = browser.get("/download/");
    assert!(download.complete);
    let block: Vec<u8> = (0..=255).cycle().take(65_536).collect();
    assert_eq!(download.body.len(), 320 * block.len());
    assert!(download.body.chunks(block.len()).all(|part| part == block));
    silent_validator(&quaich);
}

fn flask(mount: &str) {
    if !requires_python(&["flask"]) {
        return;
    }
    let site = TempSite::new();
    copy_project("flask_app", &site);
    let quaich = run(site, "app:application", mount, &[]);
    let mut browser = Browser::new(&quaich);
    let home = browser.get(&format!("{mount}/?a=%C3%A9")).json();
    assert_eq!((&home["path"], &home["root"]), (&"/".into(), &mount.into()));
    assert_eq!(home["args"]["a"], "é");
    browser
        .post_form(&format!("{mount}/form"), "name=Ailsa")
        .expect_body("stored");
    browser.get(&format!("{mount}/name")).expect_body("Ailsa");
    browser
        .get(&format!("{mount}/link"))
        .expect_body(&format!("http://shop.test{mount}/name"));
    let json = "Content-Type: application/json\r\n";
    let echoed = browser
        .send("POST", &format!("{mount}/json"), json, b"{\"cup\": [1, 2]}")
        .json();
    assert_eq!(echoed["cup"][1], 2);
    let upload = browser
        .upload(&format!("{mount}/upload"), &vec![b'u'; 300_000])
        .json();
    assert_eq!(upload["size"], 300_000);
    let stream = browser.get(&format!("{mount}/stream")).text();
    assert_eq!(
        (stream.lines().count(), stream.lines().last()),
        (1000, Some("line 999"))
    );
    silent_validator(&quaich);
}

#[test]
fn flask_works_at_the_root() {
    flask("");
}

#[test]
fn flask_works_under_a_mount() {
    flask("/x");
}

fn falcon(mount: &str) {
    if !requires_python(&["falcon"]) {
        return;
    }
    let site = TempSite::new();
    copy_project("falcon_app", &site);
    let quaich = run(site, "app:application", mount, &[]);
    let mut browser = Browser::new(&quaich);
    let thing = browser.get(&format!("{mount}/things/7?q=a&q=b")).json();
    assert_eq!(
        (&thing["number"], &thing["prefix"]),
        (&7.into(), &mount.into())
    );
    assert_eq!(thing["query"]["q"], serde_json::json!(["a", "b"]));
    let stored = browser
        .send(
            "PUT",
            &format!("{mount}/things/1"),
            "",
            &vec![b'x'; 100_000],
        )
        .json();
    assert_eq!(stored["stored"], 100_000);
    browser.get(&format!("{mount}/missing")).expect_status(404);
    silent_validator(&quaich);
}

#[test]
fn falcon_works_at_the_root() {
    falcon("");
}

#[test]
fn falcon_works_under_a_mount() {
    falcon("/x");
}

fn bottle(mount: &str) {
    if !requires_python(&["bottle"]) {
        return;
    }
    let site = TempSite::new();
    copy_project("bottle_app", &site);
    let quaich = run(site, "app:application", mount, &[]);
    let mut browser = Browser::new(&quaich);
    browser
        .get(&format!("{mount}/hello/one"))
        .expect_status(200);
    let hello = browser.get(&format!("{mount}/hello/two")).json();
    assert_eq!(
        (&hello["name"], &hello["seen"]),
        (&"two".into(), &"one".into())
    );
    assert_eq!(hello["script"], format!("{mount}/"));
    browser
        .post_form(&format!("{mount}/form"), "text=%C3%A9t%C3%A9")
        .expect_body("été");
    silent_validator(&quaich);
}

#[test]
fn bottle_works_at_the_root() {
    bottle("");
}

#[test]
fn bottle_works_under_a_mount() {
    bottle("/x");
}
