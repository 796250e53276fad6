//! Flags of `quaich run` become a configuration that means the same.

use super::*;
use clap::Parser;
use quaich_config::Config;
use quaich_config::model::{Action, AppTarget, ListenAddr};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn text(words: &[&str]) -> Result<String, Failure> {
    let args = Line::parse_from([&["run"], words].concat()).args;
    let found = target::find(args.app.as_deref(), Path::new("/srv")).unwrap();
    config_text(&args, &found, Path::new("/srv"))
}

fn config(words: &[&str]) -> Config {
    let text = text(words).unwrap();
    let around = quaich_config::Surroundings::default();
    let loaded = quaich_config::parse("quaich run", &text, Path::new("/srv"), &around);
    let shown = quaich_config::render(&loaded, false, 80);
    assert_eq!(shown, "", "{text}");
    loaded.config.unwrap()
}

#[test]
fn an_app_alone_is_a_whole_configuration() {
    let config = config(&["shop.wsgi:application"]);
    let app = &config.apps[0];
    let expected = AppTarget::Module {
        module: "shop.wsgi".into(),
        callable: Some("application".into()),
    };
    assert_eq!(
        (&app.target, app.dir.as_path()),
        (&expected, Path::new("/srv"))
    );
    assert_eq!(config.sites[0].routes[0].action, Action::App(0));
    assert_eq!(
        config.server.listeners[0].addr,
        ListenAddr::Tcp(([127, 0, 0, 1], 8000).into())
    );
}

#[test]
fn every_flag_reaches_its_place() {
    let config = config(&[
        "shop:create_app()",
        "-b",
        ":8080",
        "--bind",
        "unix:/run/x.sock",
        "-w",
        "3",
        "--threads",
        "2",
        "--mount",
        "/shop/",
        "--static",
        "/static=public",
        "--static",
        "/=top",
        "--python",
        "/opt/py",
        "--timeout",
        "5s",
        "--max-requests",
        "9",
        "--env",
        "A=b=c",
        "--access-log",
        "off",
        "--log-level",
        "warn",
    ]);
    let app = &config.apps[0];
    assert!(app.factory);
    assert_eq!((app.workers, app.threads, app.max_requests), (3, 2, 9));
    assert_eq!(app.timeout, std::time::Duration::from_secs(5));
    assert_eq!(app.python, Path::new("/opt/py"));
    assert_eq!(app.env["A"], "b=c");
    assert_eq!(config.server.listeners.len(), 2);
    assert_eq!(config.log.level, "warn");
    let routes = &config.sites[0].routes;
    let shown: Vec<_> = routes
        .iter()
        .map(|route| {
            (
                route.prefix.as_str(),
                route.files.as_ref().map(|f| f.root.as_path()),
            )
        })
        .collect();
    let (public, top) = (Path::new("/srv/public"), Path::new("/srv/top"));
    assert_eq!(
        shown,
        [("/static", Some(public)), ("/shop", None), ("", Some(top))]
    );
    assert_eq!(
        routes[0].action,
        Action::NotFound,
        "a missing file is not the app's business"
    );
    assert_eq!(routes[2].action, Action::NotFound, "the app is elsewhere");
}

#[test]
fn files_at_the_top_lie_over_an_app_at_the_top() {
    let config = config(&["shop", "--static", "/=top"]);
    let routes = &config.sites[0].routes;
    assert_eq!((routes.len(), &routes[0].action), (1, &Action::App(0)));
    assert!(routes[0].files.is_some());
}

#[test]
fn malformed_flags_are_usage_errors() {
    for words in [
        &["x", "--static", "public"][..],
        &["x", "--mount", "shop"],
        &["x", "--env", "A"],
    ] {
        assert_eq!(text(words).unwrap_err().code(), Code::Usage, "{words:?}");
    }
}
