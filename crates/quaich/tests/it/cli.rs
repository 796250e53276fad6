//! The command line: every verb, what it prints, and the exit code of every mistake.

use quaich_testkit::{Finished, Quaich, QuaichCommand, TempSite, python, requires_python};

use crate::apps;

fn run(site: TempSite, args: &[&str]) -> Finished {
    QuaichCommand::new(site, args).finish()
}

/// The same in a folder that is needed again.
fn run_in(site: &TempSite, args: &[&str]) -> Finished {
    QuaichCommand::beside(site, args).finish()
}

/// A folder with one app module.
fn with_app(source: &str) -> TempSite {
    let site = TempSite::new();
    site.write("app.py", source);
    site
}

fn python_path() -> String {
    python().display().to_string()
}

/// `quaich run ARGS` on a free port with the tests' interpreter.
fn run_app(site: TempSite, args: &[&str]) -> Quaich {
    let python = python_path();
    let mut all = vec!["run", "-b", "127.0.0.1:0", "--python", &python];
    all.extend(args);
    Quaich::command(site, all)
}

#[test]
fn help_and_version_need_nothing() {
    let help = run(TempSite::new(), &["--help"]);
    help.expect_code(0);
    for verb in [
        "run", "serve", "proxy", "files", "respond", "check", "route", "status", "stop", "cert",
        "trust",
    ] {
        assert!(help.stdout.contains(verb), "{verb} in\n{}", help.stdout);
        run(TempSite::new(), &[verb, "--help"]).expect_code(0);
    }
    let version = run(TempSite::new(), &["--version"]);
    version.expect_code(0);
    assert!(version.stdout.contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn an_unknown_verb_or_flag_is_a_usage_error() {
    run(TempSite::new(), &["brew"]).expect_code(2);
    run(TempSite::new(), &["run", "--no-such-flag"])
        .expect_code(2)
        .expect_error("--no-such-flag");
}

#[test]
fn run_serves_a_module_with_its_callable() {
    let quaich = run_app(
        with_app(apps::ENVIRON),
        &["app:application", "-w", "1", "--threads", "1"],
    );
    assert_eq!(quaich.get("/x").json()["PATH_INFO"], "/x");
    let url = format!("http://127.0.0.1:{}", quaich.addr().port());
    quaich.log().wait_for(&url);
    let shown = quaich.log().text();
    assert!(shown.contains(&python_path()), "the interpreter: {shown}");
}

#[test]
fn run_finds_the_app_of_a_folder() {
    for (file, argument) in [
        ("app.py", None),
        ("main.py", None),
        ("wsgi.py", Some(".")),
        ("project/app.py", Some("project")),
        ("odd-name.py", Some("odd-name.py")),
    ] {
        let site = TempSite::new();
        site.write(file, apps::ENVIRON.replace("def application", "def app"));
        let args: Vec<&str> = argument.into_iter().chain(["-w", "1"]).collect();
        let quaich = run_app(site, &args);
        quaich.get("/").expect_status(200);
    }
}

#[test]
fn run_finds_the_wsgi_module_of_a_django_project() {
    if !requires_python(&["django"]) {
        return;
    }
    let site = TempSite::new();
    crate::frameworks::copy_project("shop", &site);
    let quaich = run_app(site, &["-w", "1"]);
    quaich.log().wait_for("shop.wsgi");
    quaich.get("/").expect_status(200);
}

#[test]
fn run_mounts_and_serves_static_files() {
    let site = with_app(apps::ENVIRON);
    site.write("assets/style.css", "body {}");
    let quaich = run_app(
        site,
        &[
            "app",
            "-w",
            "1",
            "--mount",
            "/x",
            "--static",
            "/static=assets",
        ],
    );
    quaich.get("/static/style.css").expect_body("body {}");
    assert_eq!(quaich.get("/x/y").json()["SCRIPT_NAME"], "/x");
    quaich.get("/elsewhere").expect_status(404);
}

#[test]
fn the_environment_gives_what_no_flag_says() {
    let python = python_path();
    let app = |flags: &[&str]| {
        let args = ["run", "app", "-b", "127.0.0.1:0"].iter().chain(flags);
        QuaichCommand::new(with_app(apps::GATED), args)
            .env("WEB_CONCURRENCY", "3")
            .env("QUAICH_PYTHON", &python)
            .start()
    };
    assert_eq!(app(&[]).workers().len(), 3);
    assert_eq!(app(&["-w", "2"]).workers().len(), 2, "a flag wins");
}

#[test]
fn port_of_the_environment_is_listened_on() {
    let taken = std::net::TcpListener::bind("[::]:0").expect("a port is free");
    let port = taken.local_addr().expect("it is bound").port().to_string();
    let args = ["respond", "--status", "204"];
    let refused = QuaichCommand::new(TempSite::new(), args)
        .env("PORT", &port)
        .finish();
    refused.expect_code(3).expect_error(&port);
}

#[test]
fn proxy_files_and_respond_are_one_line_each() {
    let origin = quaich_testkit::Origin::ok();
    let url = origin.url();
    let proxy = Quaich::command(
        TempSite::new(),
        ["proxy", "-b", "127.0.0.1:0", "--to", &url],
    );
    proxy.get("/").expect_body("ok");

    let site = TempSite::new();
    site.write("public/a.txt", "a file");
    let files = Quaich::command(site, ["files", "public", "-b", "127.0.0.1:0"]);
    files.get("/a.txt").expect_body("a file");

    let args = [
        "respond",
        "-b",
        "127.0.0.1:0",
        "--status",
        "418",
        "--body",
        "short and stout",
    ];
    let respond = Quaich::command(TempSite::new(), args);
    respond
        .get("/any")
        .expect_status(418)
        .expect_body("short and stout");
}

#[test]
fn print_config_is_a_file_that_means_the_same() {
    let lines: [&[&str]; 4] = [
        &[
            "run",
            "app:application",
            "-b",
            ":8000",
            "-w",
            "2",
            "--mount",
            "/x",
            "--static",
            "/s=static",
        ],
        &[
            "proxy",
            "-b",
            "127.0.0.1:8000",
            "--to",
            "127.0.0.1:9000",
            "--to",
            "127.0.0.1:9001",
        ],
        &["files", ".", "-b", "127.0.0.1:8000"],
        &[
            "respond",
            "-b",
            "127.0.0.1:8000",
            "--status",
            "200",
            "--body",
            "a \"quoted\" text",
        ],
    ];
    for line in lines {
        let site = with_app(apps::GATED);
        site.write("static/a.txt", "a");
        let args: Vec<&str> = line.iter().copied().chain(["--print-config"]).collect();
        let printed = run_in(&site, &args);
        printed.expect_code(0);
        site.write("quaich.toml", &printed.stdout);
        let checked = run_in(&site, &["check", "quaich.toml"]);
        assert_eq!(
            checked.code(),
            0,
            "{line:?}\n{}\n{}",
            printed.stdout,
            checked.stderr
        );
    }
}

#[test]
fn check_reports_every_problem_with_its_place_and_a_hint() {
    let site = TempSite::new();
    site.write(
        "quaich.toml",
        "[server]\nlisten = [\":8000\"]\nkeepalive = 30\n\n[site.main]\nhosts = [\"*\"]\nap = \"shop\"\n\
         \n[[site.main.route]]\npath = \"/x\"\napp = \"shp\"\n\n[app.shop]\nmodule = \"shop\"\n",
    );
    let checked = run(site, &["check", "quaich.toml"]);
    checked.expect_code(1);
    let said = format!("{}{}", checked.stdout, checked.stderr);
    for expected in [
        "quaich.toml:3:",
        "\"30s\"",
        "quaich.toml:7:",
        "app",
        "quaich.toml:11:",
        "shop",
    ] {
        assert!(said.contains(expected), "{expected:?} in\n{said}");
    }
    assert!(
        !said.contains("panicked") && !said.contains('\x1b'),
        "{said}"
    );
}

#[test]
fn check_is_silent_about_nothing_and_says_so_when_all_is_well() {
    let site = TempSite::new();
    site.write("quaich.toml", "[[site.main.route]]\nstatus = 204\n");
    run(site, &["check", "quaich.toml"]).expect_code(0);
}

#[test]
fn check_names_all_that_this_machine_has_not_and_fails_for_it_when_strict() {
    let site = TempSite::new();
    site.write(
        "site.toml",
        "[app.shop]\nmodule = \"shop\"\ndir = \"no-app\"\n\
         [log.access]\noutput = \"file:no-logs/access.log\"\n\
         [[site.main.route]]\nprefix = \"/a\"\nfiles = { root = \"no-a\" }\n\
         [[site.main.route]]\nprefix = \"/b\"\nfiles = { root = \"no-b\" }\n\
         [[site.main.route]]\napp = \"shop\"\n",
    );
    for (more, code) in [(None, 0), (Some("--strict"), 1)] {
        let args: Vec<&str> = ["check", "-c", "site.toml"]
            .into_iter()
            .chain(more)
            .collect();
        let checked = run_in(&site, &args);
        checked.expect_code(code);
        for missing in ["no-app", "no-logs", "no-a ", "no-b "] {
            let said = &checked.stderr;
            assert!(said.contains(missing), "{missing:?} in\n{said}");
        }
    }
}

#[test]
fn what_is_not_in_this_version_is_refused_not_ignored() {
    for (toml, word) in [
        ("[tls.acme]\nchallenge = \"dns-01\"\n", "dns-01"),
        ("[cache.pages]\nmemory = \"1MiB\"\n", "cache"),
        ("[admin]\nmetrics = true\n", "metrics"),
        ("[app.a]\nmodule = \"a\"\nprotocol = \"asgi\"\n", "asgi"),
    ] {
        let site = TempSite::new();
        site.write(
            "quaich.toml",
            format!("{toml}[[site.main.route]]\nstatus = 204\n"),
        );
        run(site, &["check", "quaich.toml"])
            .expect_code(1)
            .expect_error(word);
    }
}

#[test]
fn a_missing_file_a_missing_root_and_a_missing_interpreter_are_one_clear_message_each() {
    run(TempSite::new(), &["serve", "-c", "nowhere.toml"])
        .expect_code(1)
        .expect_error("nowhere.toml");

    let site = TempSite::new();
    let toml =
        "[server]\nlisten = [\"127.0.0.1:0\"]\n[[site.main.route]]\nfiles = { root = \"gone\" }\n";
    site.write("quaich.toml", toml);
    run(site, &["serve", "-c", "quaich.toml"])
        .expect_code(1)
        .expect_error("gone");

    let args = [
        "run",
        "app",
        "-b",
        "127.0.0.1:0",
        "--python",
        "/nonexistent/python3",
    ];
    run(with_app(apps::GATED), &args)
        .expect_code(4)
        .expect_error("/nonexistent/python3");
}

#[test]
fn a_taken_port_names_the_address() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let addr = taken.local_addr().expect("it is bound").to_string();
    let refused = run(
        TempSite::new(),
        &["respond", "-b", &addr, "--status", "204"],
    );
    refused.expect_code(3).expect_error(&addr);
    assert!(!refused.stderr.contains("panicked"));
}

#[test]
fn a_module_that_does_not_import_shows_the_users_traceback_only() {
    let python = python_path();
    let args = |app| {
        [
            "run",
            app,
            "-b",
            "127.0.0.1:0",
            "-w",
            "1",
            "--python",
            &python,
        ]
        .map(String::from)
    };
    let broken = with_app("import no_such_module\n");
    let failed = QuaichCommand::new(broken, args("app")).finish();
    failed.expect_code(4);
    for expected in [
        "Traceback",
        "app.py\", line 1",
        "No module named 'no_such_module'",
        &python,
    ] {
        failed.expect_error(expected);
    }
    assert!(
        !failed.stderr.contains("quaich_worker"),
        "ours is not the user's: {}",
        failed.stderr
    );

    let missing = QuaichCommand::new(TempSite::new(), args("nothing_here")).finish();
    missing.expect_code(4).expect_error("nothing_here");

    let no_callable = QuaichCommand::new(with_app("x = 1\n"), args("app:web")).finish();
    no_callable.expect_code(4).expect_error("web");
}

#[test]
fn an_asgi_app_is_told_that_this_version_serves_wsgi() {
    let python = python_path();
    let site = with_app("async def app(scope, receive, send):\n    pass\n");
    let args = [
        "run",
        "app:app",
        "-b",
        "127.0.0.1:0",
        "-w",
        "1",
        "--python",
        &python,
    ];
    run(site, &args).expect_code(4).expect_error("ASGI");
}

#[test]
fn a_python_that_is_too_old_is_named() {
    let site = with_app(apps::GATED);
    // Stands for an old interpreter: it answers every question about its version with 3.7.
    let old = site.write(
        "old-python",
        "#!/bin/sh\necho 3.7.17\necho '3 7 17'\nexit 1\n",
    );
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&old, executable).expect("it can be made executable");
    let old = old.display().to_string();
    let refused = run(site, &["run", "app", "-b", "127.0.0.1:0", "--python", &old]);
    refused.expect_code(4).expect_error("old-python");
}

#[test]
fn route_says_where_a_request_would_go() {
    let site = TempSite::new();
    site.write(
        "quaich.toml",
        "[site.shop]\nhosts = [\"shop.test\"]\n[[site.shop.route]]\npath = \"/old/*\"\n\
         redirect = { to = \"/new\" }\n[[site.shop.route]]\npath = \"/wiki/*\"\nproxy = \"127.0.0.1:9\"\n",
    );
    let told = run(
        site,
        &[
            "route",
            "-c",
            "quaich.toml",
            "http://shop.test/x/../wiki/page",
        ],
    );
    told.expect_code(0);
    for expected in ["shop", "quaich.toml:6", "127.0.0.1:9", "/wiki/page"] {
        assert!(
            told.stdout.contains(expected),
            "{expected} in\n{}",
            told.stdout
        );
    }
}

#[test]
fn config_show_prints_a_file_that_is_valid() {
    let toml = "[[site.main.route]]\nfiles = { root = \"static\" }\n";
    let site = TempSite::new();
    site.write("static/a.txt", "a");
    site.write("quaich.toml", toml);
    let shown = run_in(&site, &["config", "show", "-c", "quaich.toml"]);
    shown.expect_code(0);
    assert!(
        shown.stdout.contains("header_timeout"),
        "defaults too:\n{}",
        shown.stdout
    );
    site.write("quaich.toml", &shown.stdout);
    run_in(&site, &["check", "quaich.toml"]).expect_code(0);
}

#[test]
fn schema_is_json_schema() {
    let printed = run(TempSite::new(), &["schema"]);
    printed.expect_code(0);
    let schema: serde_json::Value = serde_json::from_str(&printed.stdout).expect("JSON");
    assert!(
        schema["$schema"]
            .as_str()
            .is_some_and(|s| s.contains("json-schema.org"))
    );
    assert!(schema["properties"]["site"].is_object(), "{schema}");
}

#[test]
fn status_and_stop_say_when_nothing_runs() {
    run(TempSite::new(), &["status"]).expect_code(5);
    run(TempSite::new(), &["stop"]).expect_code(5);
}
