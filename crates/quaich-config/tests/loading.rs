//! Files, includes, flags and environment: who wins, and where values are said to come from.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use quaich_config::model::{AccessFormat, Action, AppTarget, HostPattern, ListenAddr};
use quaich_config::{
    Environment, FileSystem, Loaded, Overrides, Surroundings, load, parse, render,
};

/// Files by path.
struct Texts(BTreeMap<&'static str, &'static str>);

impl FileSystem for Texts {
    fn read(&self, path: &Path) -> io::Result<String> {
        let text = path.to_str().and_then(|path| self.0.get(path));
        text.map(|text| (*text).to_owned())
            .ok_or(io::ErrorKind::NotFound.into())
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let names = self.0.keys().filter_map(|path| {
            let path = Path::new(path);
            let parent = path.parent()?;
            let here =
                parent == directory || (parent == Path::new("") && directory == Path::new("."));
            here.then(|| {
                path.file_name()
                    .expect("a name")
                    .to_string_lossy()
                    .into_owned()
            })
        });
        Ok(names.collect())
    }
}

fn around() -> Surroundings {
    Surroundings {
        current_dir: "/srv".into(),
        ..Surroundings::default()
    }
}

fn load_texts(files: &[(&'static str, &'static str)]) -> Loaded {
    load(
        Path::new(files[0].0),
        &Texts(files.iter().copied().collect()),
        &around(),
    )
}

fn parse_with(text: &str, around: &Surroundings) -> Loaded {
    parse("quaich.toml", text, Path::new("/srv"), around)
}

const SHOP: &str = "[app.shop]\nmodule = \"shop.wsgi\"\n[site.main]\napp = \"shop\"\n";

#[test]
fn defaults_are_those_of_the_reference() {
    let config = parse_with(SHOP, &around()).config.expect("valid");
    let addr: SocketAddr = "127.0.0.1:8000".parse().expect("an address");
    assert_eq!(config.server.listeners[0].addr, ListenAddr::Tcp(addr));
    assert_eq!(config.server.max_body, 10 << 20);
    assert_eq!(config.server.min_rate, 240);
    assert_eq!(config.server.keepalive.as_secs(), 75);
    assert_eq!(config.server.state_dir, Path::new("/srv/state"));
    assert_eq!(config.server.server_header.as_deref(), Some("quaich"));
    assert_eq!(
        config.admin.socket.as_deref(),
        Some(Path::new("/srv/quaich.sock"))
    );
    assert_eq!(config.access_log.format, AccessFormat::Json);
    let app = &config.apps[0];
    assert_eq!((app.workers, app.threads, app.queue), (1, 4, 100));
    assert_eq!(app.dir, Path::new("/srv"));
    assert_eq!(
        app.target,
        AppTarget::Module {
            module: "shop.wsgi".into(),
            callable: None
        }
    );
    assert_eq!(config.sites[0].hosts, [HostPattern::Any]);
    assert_eq!(config.sites[0].routes[0].origin, "quaich.toml:4");
    assert_eq!(config.sites[0].routes[0].action, Action::App(0));
}

#[test]
fn included_tables_merge_and_keep_their_own_directory() {
    let loaded = load_texts(&[
        (
            "etc/quaich.toml",
            "include = [\"sites/*.toml\"]\n[app.shop]\nmodule = \"shop\"\n",
        ),
        (
            "etc/sites/b.toml",
            "[site.b]\nhosts = [\"b.example\"]\nroot = \"b\"\n",
        ),
        (
            "etc/sites/a.toml",
            "[site.a]\nhosts = [\"a.example\"]\napp = \"shop\"\n",
        ),
        ("etc/sites/note.txt", "not this one"),
    ]);
    let config = loaded.config.as_ref().expect("valid");
    let names: Vec<&str> = config.sites.iter().map(|site| site.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(config.apps[0].dir, Path::new("/srv/etc"));
    let files = config.sites[1].routes[0].files.as_ref().expect("files");
    assert_eq!(files.root, Path::new("/srv/etc/sites/b"));
    assert_eq!(config.sites[1].routes[0].origin, "etc/sites/b.toml:3");
}

#[test]
fn a_key_in_two_files_is_refused_with_both_places() {
    let loaded = load_texts(&[
        (
            "quaich.toml",
            "include = \"more.toml\"\n[server]\nthreads = 2\n[site.a]\nroot = \"a\"\n",
        ),
        ("more.toml", "[server]\nbacklog = 5\nthreads = 3\n"),
    ]);
    let shown = render(&loaded, false, 80);
    assert!(loaded.config.is_none());
    assert!(shown.contains("--> more.toml:3:1"), "{shown}");
    assert!(shown.contains("::: quaich.toml:3:1"), "{shown}");
    assert_eq!(loaded.counts(), (1, 0), "{shown}");
}

#[test]
fn mistakes_of_included_files_are_told_with_their_name() {
    let loaded = load_texts(&[
        (
            "quaich.toml",
            "include = [\"gone.toml\", \"more.toml\"]\nlsten = 1\n",
        ),
        ("more.toml", "[site.a]\nroot = \"a\"\nhost = \"x\"\n"),
    ]);
    let shown = render(&loaded, false, 80);
    let codes: Vec<&str> = loaded.diagnostics.iter().map(|d| d.code).collect();
    assert_eq!(
        codes,
        ["cannot-read", "unknown-key", "unknown-key"],
        "{shown}"
    );
    assert!(shown.contains("--> more.toml:3:1"), "{shown}");
}

#[test]
fn a_missing_file_is_one_clear_line() {
    let loaded = load(Path::new("none.toml"), &Texts(BTreeMap::new()), &around());
    let shown = render(&loaded, false, 80);
    assert!(
        shown.starts_with("error[cannot-read]: cannot read `none.toml`: there is no such file")
    );
}

#[test]
fn flags_win_over_the_file_and_say_so() {
    let mut overrides = Overrides::default();
    overrides.set_all("server.listen", &[":9000", "unix:x.sock"], "--bind");
    overrides.set("app.*.workers", "3", "--workers");
    overrides.set("app.*.workers", "7", "$QUAICH_WORKERS");
    let around = Surroundings {
        overrides,
        ..around()
    };
    let text =
        format!("[server]\nlisten = [\":80\"]\n{SHOP}[app.blog]\nmodule = \"b\"\nworkers = 9\n");
    let loaded = parse_with(&text, &around);
    let config = loaded
        .config
        .as_ref()
        .unwrap_or_else(|| panic!("{}", render(&loaded, false, 80)));
    let names: Vec<&str> = config
        .server
        .listeners
        .iter()
        .map(|l| l.name.as_str())
        .collect();
    assert_eq!(names, [":9000", "unix:/srv/x.sock"]);
    assert!(config.apps.iter().all(|app| app.workers == 3));
    assert_eq!(loaded.origins["server.listen"].to_string(), "--bind");
    assert_eq!(loaded.origins["app.blog.workers"].to_string(), "--workers");
    assert_eq!(
        loaded.origins["app.blog.module"].to_string(),
        "quaich.toml:8"
    );
    assert_eq!(loaded.origins["server.backlog"].to_string(), "default");
}

#[test]
fn a_flag_replaces_listener_tables_of_the_file() {
    let mut overrides = Overrides::default();
    overrides.set("server.listen", ":9000", "--bind");
    let around = Surroundings {
        overrides,
        ..around()
    };
    let text = format!("[[server.listener]]\naddr = \":80\"\n{SHOP}");
    let config = parse_with(&text, &around).config.expect("valid");
    assert_eq!(config.server.listeners.len(), 1);
}

#[test]
fn a_mistake_in_a_flag_is_shown_like_one_in_the_file() {
    let mut overrides = Overrides::default();
    overrides.set_all("server.listen", &[":9000", ":99999"], "--bind");
    overrides.set("server.threads", "many", "$QUAICH_THREADS");
    let shown = render(
        &parse_with(
            SHOP,
            &Surroundings {
                overrides,
                ..around()
            },
        ),
        false,
        80,
    );
    assert!(shown.contains("--> --bind\n"), "{shown}");
    assert!(shown.contains("| :9000, :99999\n"), "{shown}");
    assert!(
        shown.contains("|        ^^^^^^ port 99999 is out of range"),
        "{shown}"
    );
    assert!(shown.contains("--> $QUAICH_THREADS"), "{shown}");
}

#[test]
fn the_environment_stands_in_for_defaults_only() {
    let environment = Environment {
        cores: 2,
        web_concurrency: Some(40),
        port: Some(5000),
        forwarded_allow_ips: Some("10.0.0.1, *".into()),
        stdout_is_terminal: true,
    };
    let around = Surroundings {
        environment,
        ..around()
    };
    let loaded = parse_with(SHOP, &around);
    let config = loaded.config.expect("valid");
    assert_eq!(config.server.listeners[0].name, ":5000");
    assert_eq!(config.server.threads, 2);
    assert_eq!(config.server.trust.len(), 3);
    assert_eq!(config.apps[0].workers, 5);
    assert_eq!(config.access_log.format, AccessFormat::Pretty);
    assert_eq!(loaded.origins["server.listen"].to_string(), "$PORT");
    let text =
        format!("[server]\nlisten = \":80\"\ntrust = []\n{SHOP}[log.access]\nformat = \"json\"\n");
    let config = parse_with(&text, &around).config.expect("valid");
    assert_eq!(config.server.listeners[0].name, ":80");
    assert!(config.server.trust.is_empty());
    assert_eq!(config.access_log.format, AccessFormat::Json);
}

#[test]
fn off_turns_things_off() {
    let text = "[server]\nserver_header = \"off\"\nmin_rate = false\nmax_body = \"off\"\n\
                [log.access]\noutput = false\n[admin]\nlisten = \"off\"\n\
                [site.main]\nroot = \"x\"\naccess_log = \"off\"\n";
    let loaded = parse_with(text, &around());
    let config = loaded
        .config
        .as_ref()
        .unwrap_or_else(|| panic!("{}", render(&loaded, false, 80)));
    assert_eq!(config.server.server_header, None);
    assert_eq!((config.server.min_rate, config.server.max_body), (0, 0));
    assert_eq!(config.admin.socket, None);
    assert!(!config.sites[0].access_log);
}

#[test]
fn sites_name_listeners_by_name_or_address() {
    let text = "[server]\nlisten = [\":80\"]\n\
                [[server.listener]]\nname = \"inner\"\naddr = \":81\"\n\
                [site.a]\nroot = \"a\"\nlisten = [\"[::]:80\"]\n\
                [site.b]\nroot = \"b\"\nlisten = [\"inner\"]\n";
    let config = parse_with(text, &around())
        .config
        .expect("same host on other listeners is fine");
    assert_eq!(config.sites[0].listeners, [0]);
    assert_eq!(config.sites[1].listeners, [1]);
}
