//! A browser: Chromium logs in to a Django admin below a prefix, uploads a file, logs out.

use std::path::{Path, PathBuf};
use std::process::Command;

use quaich_testkit::{Quaich, QuaichCommand, TempSite, binary, python, requires_python};

use crate::frameworks::copy_project;
use crate::tls_clients::requires_program;

const MOUNT: &str = "/tools/desk";

fn manage(site: &TempSite, args: &[&str]) {
    let out = Command::new(python())
        .arg("manage.py")
        .args(args)
        .current_dir(site.path())
        .env("DJANGO_SUPERUSER_PASSWORD", "uisge")
        .output()
        .expect("python can be started");
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{args:?}: {errors}");
}

fn desk() -> Quaich {
    let site = TempSite::new();
    copy_project("desk", &site);
    manage(&site, &["migrate", "--verbosity", "0"]);
    manage(&site, &["collectstatic", "--noinput", "--verbosity", "0"]);
    let user = ["--username", "host", "--email", "h@desk.test"];
    manage(
        &site,
        &[&["createsuperuser", "--noinput"][..], &user].concat(),
    );
    site.write(
        "quaich.toml",
        format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\n\
             [app.desk]\nmodule = \"desk.wsgi:application\"\npython = \"{}\"\nworkers = 1\n\
             [[site.main.route]]\nprefix = \"{MOUNT}/static\"\nfiles = {{ root = \"collected\" }}\n\
             [[site.main.route]]\nprefix = \"{MOUNT}\"\napp = \"desk\"\n",
            python().display()
        ),
    );
    QuaichCommand::new(site, ["serve", "-c", "quaich.toml"]).start()
}

/// Where what a test has made stays: beside the program that it has tested.
fn artefacts() -> PathBuf {
    let program = binary();
    let folder = program.parent().unwrap_or(Path::new(".")).join("artefacts");
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    folder
}

#[test]
fn chromium_works_in_a_django_admin_below_a_prefix() {
    let has_browser = requires_program("/usr/bin/chromium", "chromium");
    if !has_browser || !requires_python(&["django", "websockets"]) {
        return;
    }
    let quaich = desk();
    let admin = format!("http://{}{MOUNT}/admin/", quaich.addr());
    let upload = quaich
        .site()
        .write("minutes.txt", "the minutes of the meeting");
    let picture = artefacts().join("django-admin.png");
    let out = Command::new(python())
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/browser/desk.py"
        ))
        .arg(&admin)
        .arg(upload)
        .arg(&picture)
        .arg(quaich.site().join("profile"))
        .env("HOME", quaich.site().path())
        .output()
        .expect("python can be started");
    let shown = String::from_utf8_lossy(&out.stdout).into_owned();
    let seen: serde_json::Value = serde_json::from_str(&shown).unwrap_or_else(|_| {
        let errors = String::from_utf8_lossy(&out.stderr);
        panic!("{shown}\n{errors}\n{}", quaich.log().text())
    });
    let text = |name: &str| seen[name].as_str().unwrap_or_default().to_owned();
    assert_eq!(text("login"), "/tools/desk/admin/login/");
    assert_eq!(text("inside"), "/tools/desk/admin/");
    assert!(text("welcome").contains("Site administration"), "{seen:#}");
    assert_eq!(text("uploaded"), "/tools/desk/admin/papers/paper/");
    assert!(
        text("message").contains("was added successfully"),
        "{seen:#}"
    );
    let stored = quaich.site().read("media/papers/minutes.txt");
    assert_eq!(stored, "the minutes of the meeting");
    // Django is not told where its cookies belong.
    assert_eq!(seen["cookies"]["sessionid"], "/tools/desk", "{seen:#}");
    assert_eq!(seen["cookies"]["csrftoken"], "/tools/desk", "{seen:#}");
    // The colour is that of the stylesheet.
    assert_ne!(text("header_colour"), "rgba(0, 0, 0, 0)", "{seen:#}");
    let sheets = seen["static"].as_array().cloned().unwrap_or_default();
    assert!(sheets.len() > 3, "{seen:#}");
    for sheet in &sheets {
        // The second time it asks whether they have changed.
        let fine = sheet["status"] == 200 || sheet["status"] == 304;
        assert!(fine, "{sheet}");
    }
    let compressed = |sheet: &serde_json::Value| sheet["encoding"].is_string();
    assert!(sheets.iter().any(compressed), "{seen:#}");
    assert!(text("logged_out").contains("Logged out"), "{seen:#}");
    assert_eq!(text("after"), "/tools/desk/admin/login/");
    let png = std::fs::read(&picture).expect("a picture was taken");
    assert!(png.starts_with(b"\x89PNG") && png.len() > 10_000);
}
