//! One table of exchanges over every transport, and to every kind of handler: the same answer, and
//! the same request in the eyes of the app.
//!
//! The front (`Stage::quaich`) has a site for each kind of handler. The upstreams are a second
//! quaich (`Stage::_behind`), spoken to in HTTP/1.1 and in HTTP/2, with the same app.

mod app;
mod files;
mod flow;
mod limits;

use quaich_testkit::{Answer, Ca, Caller, Origin, Quaich, Request, TempSite, Transport};

use crate::apps;
use crate::wires::peers;

/// The app on all stages.
const APP: &str = include_str!("app.py");

/// The front with all its sites, and what is behind it.
struct Stage {
    quaich: Quaich,
    /// Where the app stands: in a worker of the front, or behind an upstream.
    app_hosts: Vec<&'static str>,
    _behind: Option<Quaich>,
    _servers: Vec<peers::Server>,
}

/// Where a scripted origin stands: behind an upstream spoken to in HTTP/1.1, and the same one
/// behind a second quaich that is spoken to in HTTP/2.
const ORIGIN_HOSTS: [&str; 2] = ["up.test", "h2.test"];

/// A certificate for `*.test`, and two listeners that are told apart by their addresses.
fn listeners(site: &TempSite) -> &'static str {
    let ca = Ca::new("Transports");
    ca.server(&["test", "*.test"]).write(site, "test");
    "[admin]\nlisten = \"unix:quaich.sock\"\n\
     [tls.cert.test]\ncert = \"test.crt\"\nkey = \"test.key\"\n\
     [[server.listener]]\naddr = \"127.0.0.1:0\"\n\
     [[server.listener]]\naddr = \"127.0.0.2:0\"\ntls = true\n"
}

/// A site whose plain listener stays plain.
fn site(name: &str, handler: &str) -> String {
    format!("[site.{name}]\nhosts = [\"{name}.test\"]\nredirect_https = false\n{handler}\n",)
}

impl Stage {
    /// The app in a worker and behind both kinds of upstream, files, and a fixed answer.
    fn with_app() -> Self {
        Self::with_app_in(TempSite::new(), TempSite::new())
    }

    /// The same in two folders of the caller's: of the front, and of the second quaich.
    fn with_app_in(folder: TempSite, folder_behind: TempSite) -> Self {
        folder_behind.write("app.py", APP);
        let toml = apps::config("workers = 1\nthreads = 4", "trust = [\"127.0.0.0/8\"]");
        let behind = Quaich::serve(folder_behind, &toml);
        folder.write("app.py", APP);
        files::fill(&folder);
        let addr = behind.addr();
        let (servers, sites) = wires(behind.site());
        let toml = [
            listeners(&folder).to_string(),
            apps::table("workers = 1\nthreads = 4"),
            site("app", "app = \"main\""),
            site("up", &format!("proxy = \"http://{addr}\"")),
            site("h2", &format!("proxy = \"h2c://{addr}\"")),
            site("files", "root = \"www\""),
            site(
                "respond",
                "[[site.respond.route]]\nrespond = { status = 203, body = \"fixed\" }",
            ),
            sites
                .iter()
                .map(|(name, url)| site(name, &format!("proxy = \"{url}\"")))
                .collect(),
        ];
        let mut app_hosts = vec!["app.test", "up.test", "h2.test"];
        app_hosts.extend(WIRES.iter().filter(|host| {
            sites
                .iter()
                .any(|(name, _)| host.strip_suffix(".test") == Some(name))
        }));
        Self {
            quaich: Quaich::serve_exactly(folder, &toml.concat()),
            app_hosts,
            _behind: Some(behind),
            _servers: servers,
        }
    }

    /// A scripted origin behind both kinds of upstream.
    fn with_origin(origin: &Origin) -> Self {
        let toml = format!("[site.main]\nproxy = \"{}\"\n", origin.url());
        let behind = Quaich::serve(TempSite::new(), &toml);
        let folder = TempSite::new();
        let toml = [
            listeners(&folder).to_string(),
            site("up", &format!("proxy = \"{}\"", origin.url())),
            site("h2", &format!("proxy = \"h2c://{}\"", behind.addr())),
        ];
        Self {
            quaich: Quaich::serve_exactly(folder, &toml.concat()),
            app_hosts: Vec::new(),
            _behind: Some(behind),
            _servers: Vec::new(),
        }
    }

    /// A new connection that will ask this host.
    #[track_caller]
    fn connect(&self, transport: Transport, host: &str) -> Caller {
        let ip = if transport.is_tls() {
            "127.0.0.2"
        } else {
            "127.0.0.1"
        };
        transport.connect(self.quaich.addr_at(ip), host)
    }
}

/// Servers that are spoken to in other protocols.
const WIRES: [&str; 4] = ["uwsgi.test", "gunicorn.test", "fastcgi.test", "scgi.test"];

/// Those of them that can be started, with the names of their sites and their URLs.
fn wires(folder: &TempSite) -> (Vec<peers::Server>, Vec<(&'static str, String)>) {
    let started = [
        ("uwsgi", peers::uwsgi(folder, &[])),
        ("gunicorn", peers::gunicorn(folder)),
        ("fastcgi", peers::flup_fastcgi(folder)),
        ("scgi", peers::flup_scgi(folder)),
    ];
    let started = started.into_iter();
    let started = started.filter_map(|(name, server)| Some((name, server?)));
    started
        .map(|(name, server)| {
            let url = server.url.clone();
            (server, (name, url))
        })
        .unzip()
}

/// One exchange: its name, the request, and what its answer must be.
struct Row {
    name: &'static str,
    request: fn() -> Request,
    check: fn(&Answer),
}

/// One row of a table.
const fn row(name: &'static str, request: fn() -> Request, check: fn(&Answer)) -> Row {
    Row {
        name,
        request,
        check,
    }
}

/// Fields whose values are of their moment.
const OF_THE_MOMENT: [&str; 2] = ["date", "x-request-id"];

/// The answer without what differs from one exchange to the next, and from one version to the next:
/// the order of fields of different names, and that nothing
/// follows, which HTTP/2 says by the end of the stream.
fn lasting(mut answer: Answer) -> Answer {
    if let Some(id) = answer.header("x-request-id").map(str::to_string) {
        answer.body = answer.text().replace(&id, "ID").into_bytes();
    }
    let is_lasting = |(name, value): &(String, String)| {
        let empty = name == "content-length" && value == "0";
        !empty && !OF_THE_MOMENT.contains(&name.as_str())
    };
    answer.fields.retain(is_lasting);
    answer.fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    answer
}

/// Runs a table at these hosts over every transport: each answer must pass its check, and be the
/// one that HTTP/1.1 without TLS gave.
#[track_caller]
fn run(stage: &Stage, hosts: &[&str], rows: &[Row]) {
    let mut failures = Vec::new();
    for host in hosts {
        let mut plain: Vec<Answer> = Vec::new();
        for transport in Transport::ALL {
            for (at, row) in rows.iter().enumerate() {
                let request = (row.request)().host(host);
                let tried = std::panic::catch_unwind(|| {
                    let answer = stage.connect(transport, host).call(&request);
                    (row.check)(&answer);
                    lasting(answer)
                });
                let what = format!("{transport:?} {host} {}", row.name);
                match (tried, plain.get(at)) {
                    (Ok(answer), None) => plain.push(answer),
                    (Ok(answer), Some(first)) if answer == *first => {}
                    (Ok(answer), Some(first)) => {
                        failures.push(format!("{what}: {}", difference(&answer, first)));
                    }
                    (Err(why), first) => {
                        let text = why.downcast_ref::<String>().cloned().unwrap_or_default();
                        let text: String = text.chars().take(400).collect();
                        failures.push(format!("{what}: {text}"));
                        if first.is_none() {
                            plain.push(Answer::default());
                        }
                    }
                }
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} exchanges went wrong:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// Runs a table whose answers break off, of which more or less may have come: each must pass its
/// check.
#[track_caller]
fn check(stage: &Stage, hosts: &[&str], rows: &[Row]) {
    for host in hosts {
        for transport in Transport::ALL {
            for row in rows {
                let answer = stage
                    .connect(transport, host)
                    .call(&(row.request)().host(host));
                println!("{transport:?} {host} {}", row.name);
                (row.check)(&answer);
            }
        }
    }
}

/// It can be seen that something is missing, or the failure was found before anything was sent.
#[track_caller]
fn never_complete(answer: &Answer) {
    assert!(!answer.complete || answer.status >= 500, "{answer:?}");
}

/// What is not the same in two answers, without their bodies.
fn difference(one: &Answer, other: &Answer) -> String {
    let shown = |answer: &Answer| {
        format!(
            "{} {:?} body {} trailers {:?} interim {:?} complete {}",
            answer.status,
            answer.fields,
            answer.body.len(),
            answer.trailers,
            answer.interim,
            answer.complete
        )
    };
    format!("{}\n    in place of {}", shown(one), shown(other))
}

#[test]
fn many_exchanges_share_a_connection() {
    let stage = Stage::with_app();
    for transport in Transport::ALL {
        for host in &stage.app_hosts {
            let mut caller = stage.connect(transport, host);
            for n in 0..20 {
                let body = format!("body {n}");
                let request = Request::post(&format!("/reflect?{n}"), body.as_str()).host(host);
                let answer = caller.call(&request);
                assert_eq!(
                    answer.json()["query"],
                    n.to_string(),
                    "{transport:?} {host}"
                );
                assert_eq!(answer.json()["body"], body, "{transport:?} {host}");
            }
        }
    }
}

#[test]
fn the_app_knows_how_it_was_asked() {
    let stage = Stage::with_app();
    for transport in Transport::ALL {
        let (protocol, scheme) = (
            if transport.is_http2() {
                "HTTP/2.0"
            } else {
                "HTTP/1.1"
            },
            if transport.is_tls() { "https" } else { "http" },
        );
        // gunicorn believes the variables of nobody.
        for host in stage
            .app_hosts
            .iter()
            .filter(|host| **host != "gunicorn.test")
        {
            let request = Request::get("/environ").host(host);
            let environ = stage.connect(transport, host).call(&request).json();
            let what = format!("{transport:?} {host}");
            assert_eq!(environ["wsgi.url_scheme"], scheme, "{what}");
            assert_eq!(environ["HTTP_HOST"], *host, "{what}");
            assert_eq!(environ["REMOTE_ADDR"], "127.0.0.1", "{what}");
            if *host != "up.test" && *host != "h2.test" {
                assert_eq!(environ["SERVER_PROTOCOL"], protocol, "{what}");
            }
        }
    }
}
