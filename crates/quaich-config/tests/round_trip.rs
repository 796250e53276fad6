//! What is printed loads to an equal configuration, and the model survives JSON.

use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use quaich_config::model::*;
use quaich_config::{Surroundings, parse, print, render};

#[path = "round_trip/filters/mod.rs"]
mod filters;
#[path = "round_trip/sticky.rs"]
mod sticky;

fn name() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9_-]{0,8}"
}

fn time() -> impl Strategy<Value = Duration> {
    (1_u64..1 << 40).prop_map(Duration::from_millis)
}

fn file() -> impl Strategy<Value = PathBuf> {
    // Any character that a path may hold; dots alone would be shortened.
    "/[a-zäöü \"\\\\'#]{1,20}/[a-z]{1,8}".prop_map(PathBuf::from)
}

fn text() -> impl Strategy<Value = String> {
    ".{0,20}"
}

prop_compose! {
    fn server()(
        listeners in vec(listener(), 1..4),
        numbers in vec(1_usize..1000, 6),
        times in vec(time(), 6),
        user in of(name()),
        (max_body, min_rate, pid_file) in (any::<u64>(), any::<u64>(), of(file())),
        header in of("[!-~]([ -~]{0,10}[!-~])?"),
        flags in any::<[bool; 2]>(),
    ) -> Server {
        let listeners = listeners.into_iter().enumerate().map(unlike).collect();
        Server {
            listeners,
            threads: numbers[0],
            backlog: 128,
            reuse_port: flags[0],
            group: user.clone(),
            user,
            max_connections: numbers[1],
            max_per_ip: numbers[2] - 1,
            header_timeout: times[0],
            body_timeout: times[1],
            keepalive: times[2],
            keepalive_requests: numbers[3] as u64,
            write_timeout: times[3],
            min_rate,
            max_header: numbers[4] + 255,
            max_headers: numbers[5],
            max_uri: 8192,
            max_body,
            shutdown_timeout: times[5],
            state_dir: "/var/lib/quaich".into(),
            pid_file,
            trust: vec![
                Network { addr: [10, 0, 0, 0].into(), prefix: 8 },
                Network { addr: "2001:db8::".parse().expect("an address"), prefix: 32 },
            ],
            server_header: header.filter(|text| text != "off"),
            date_header: flags[1],
        }
    }
}

fn listener() -> impl Strategy<Value = Listener> {
    let addr = prop_oneof![
        any::<[u8; 4]>().prop_map(|ip| ListenAddr::Tcp((ip, 1).into())),
        any::<[u8; 16]>().prop_map(|ip| ListenAddr::Tcp((ip, 1).into())),
        file().prop_map(ListenAddr::Unix),
        Just(ListenAddr::Fd(3)),
        name().prop_map(ListenAddr::Systemd),
    ];
    let tcp = OtherProtocol::Tcp { upstream: 1 };
    let spoken = select(vec![
        (true, true, None),
        (true, false, None),
        (false, true, None),
        (false, false, Some(OtherProtocol::Uwsgi)),
        (false, false, Some(OtherProtocol::FastCgi)),
        (false, false, Some(OtherProtocol::Scgi)),
        (false, false, Some(tcp)),
    ]);
    let proxy = select(vec![
        ProxyProtocol::Off,
        ProxyProtocol::Accept,
        ProxyProtocol::Require,
    ]);
    let settings = (name(), any::<bool>(), 0_u32..=0o777, (spoken, proxy));
    (addr, any::<bool>(), settings).prop_map(
        |(addr, named, (name, tls, mode, (spoken, proxy_protocol)))| {
            let (h1, h2, other) = spoken;
            let shown = quaich_config::addr::show_listen(&addr);
            if named {
                Listener {
                    name,
                    addr,
                    mode,
                    tls,
                    h1,
                    h2,
                    other,
                    proxy_protocol,
                }
            } else {
                Listener {
                    name: shown,
                    addr,
                    mode: 0o660,
                    tls: false,
                    h1: true,
                    h2: true,
                    other: None,
                    proxy_protocol: ProxyProtocol::Off,
                }
            }
        },
    )
}

fn hosts() -> impl Strategy<Value = Vec<HostPattern>> {
    vec(
        host().prop_filter("no certificate holds all", |h| *h != HostPattern::Any),
        1..3,
    )
}

prop_compose! {
    fn client_auth()(
        mode in select(vec![ClientAuthMode::Request, ClientAuthMode::Require]),
        (ca, crl) in (file(), of(file())),
        off: bool,
    ) -> ClientAuth {
        match off {
            true => ClientAuth::default(),
            false => ClientAuth { mode, ca: Some(ca), crl },
        }
    }
}

prop_compose! {
    fn acme()(
        email in of("[a-z.]{1,9}@[a-z]{1,9}\\.example"),
        directory in "https://[a-z]{1,9}(:[1-9][0-9]{1,3})?/[a-z/]{0,9}",
        ca_file in of(file()),
        challenge in select(vec![
            AcmeChallenge::Auto,
            AcmeChallenge::Http01,
            AcmeChallenge::TlsAlpn01,
        ]),
        profile in of(name()),
        eab in of((text(), file())),
    ) -> Acme {
        let eab = eab.map(|(kid, key_file)| AcmeEab { kid, key_file });
        Acme { email, directory, ca_file, challenge, profile, eab, names: Vec::new() }
    }
}

prop_compose! {
    fn tls()(
        min in select(vec![TlsVersion::V12, TlsVersion::V13]),
        unknown_sni in select(vec![UnknownSni::Reject, UnknownSni::Default]),
        flags in any::<[bool; 3]>(),
        certificates in vec((file(), file(), of(hosts())), 0..3),
        client in client_auth(),
        acme in of(acme()),
    ) -> Tls {
        let certificate = |(index, (cert, key, hosts))| Certificate {
            name: format!("cert{index}"),
            cert,
            key,
            hosts,
        };
        Tls {
            min,
            session_tickets: flags[0],
            ocsp: flags[1],
            unknown_sni,
            // A listener with TLS needs something to show.
            local_ca: flags[2] || (certificates.is_empty() && acme.is_none()),
            certificates: certificates.into_iter().enumerate().map(certificate).collect(),
            client,
            acme,
        }
    }
}

/// Makes the listener at an index unlike all others.
fn unlike((index, mut listener): (usize, Listener)) -> Listener {
    let plain = listener.name == quaich_config::addr::show_listen(&listener.addr);
    match &mut listener.addr {
        ListenAddr::Tcp(addr) => addr.set_port(8000 + index as u16),
        ListenAddr::Unix(path) => path.push(index.to_string()),
        ListenAddr::Fd(fd) => *fd = 3 + index as i32,
        ListenAddr::Systemd(name) => name.push_str(&index.to_string()),
    }
    listener.name = match plain {
        true => quaich_config::addr::show_listen(&listener.addr),
        false => format!("{}{index}", listener.name),
    };
    listener
}

prop_compose! {
    fn app()(
        name in name(),
        target in prop_oneof![
            ("[a-z]{1,8}(\\.[a-z]{1,5}){0,2}", of("[a-z]{1,8}"))
                .prop_map(|(module, callable)| AppTarget::Module { module, callable }),
            (file(), of("[a-z]{1,8}")).prop_map(|(path, callable)| AppTarget::File {
                path: path.with_extension("py"),
                callable,
            }),
        ],
        dir in file(),
        python in prop_oneof![Just(PathBuf::new()), file(), Just(PathBuf::from("python3.12"))],
        numbers in vec(1_usize..1000, 4),
        times in vec(time(), 4),
        env in btree_map("[A-Z \"äö.]{1,8}", "[^\0]{0,20}", 0..4),
        user in of(name()),
        factory: bool,
    ) -> App {
        App {
            name,
            // A module that looks like a file is refused.
            target: match target {
                AppTarget::Module { module, callable } if module.ends_with(".py") => {
                    AppTarget::Module { module: format!("{module}x"), callable }
                }
                target => target,
            },
            factory,
            dir,
            python,
            python_origin: String::new(),
            workers: numbers[0],
            threads: numbers[1],
            timeout: times[0],
            queue: numbers[2] - 1,
            queue_timeout: times[1],
            graceful_timeout: times[2],
            boot_timeout: times[3],
            max_requests: numbers[3] as u64,
            max_requests_jitter: 0,
            env,
            group: user.clone(),
            user,
        }
    }
}

fn upstream_addr() -> impl Strategy<Value = UpstreamAddr> {
    prop_oneof![
        ("[a-z]{1,9}(\\.[a-z]{1,5}){0,2}", 1_u16..)
            .prop_map(|(host, port)| UpstreamAddr::Tcp { host, port }),
        Just(UpstreamAddr::Tcp {
            host: "2001:db8::1".into(),
            port: 80
        }),
        file().prop_map(UpstreamAddr::Unix),
    ]
}

prop_compose! {
    fn upstream_tls()(
        ca in of(file()),
        sni in "[a-z]{1,9}\\.internal",
        pair in of((file(), file())),
        verify: bool,
    ) -> UpstreamTls {
        let (cert, key) = pair.unzip();
        UpstreamTls { ca, sni: Some(sni), cert, key, verify }
    }
}

fn balance() -> impl Strategy<Value = Balance> {
    select(vec![
        Balance::RoundRobin,
        Balance::LeastConn,
        Balance::P2c,
        Balance::Random,
        Balance::First,
        Balance::Hash(HashKey::ClientIp),
        Balance::Hash(HashKey::Uri),
        Balance::Hash(HashKey::Path),
        Balance::Hash(HashKey::Header("X-Tenant".into())),
        Balance::Hash(HashKey::Cookie("sid.x".into())),
    ])
}

fn retry_on() -> impl Strategy<Value = RetryOn> {
    let statuses = select(vec![vec![], vec![503], vec![429, 500, 599]]);
    (any::<bool>(), statuses).prop_map(|(timeout, statuses)| RetryOn { timeout, statuses })
}

fn discover() -> impl Strategy<Value = Discover> {
    prop_oneof![
        ("[a-z]{1,9}\\.internal", 1_u16..).prop_map(|(host, port)| {
            let url = format!("http://{host}:{port}");
            let server = quaich_config::addr::server(&url, Path::new("/")).expect("a server");
            Discover::Dns { server }
        }),
        ("_[a-z]{1,9}\\._tcp\\.[a-z]{1,9}", any::<bool>()).prop_map(|(name, tls)| {
            let protocol = UpstreamProtocol::Http;
            Discover::Srv {
                name,
                protocol,
                tls,
            }
        }),
        of("[a-z]{1,9}\\.example(:8000)?").prop_map(|key| Discover::Subscribe { key }),
    ]
}

prop_compose! {
    fn subscribe()(
        (port, path, key_dir) in (1_u16.., file(), of(file())),
        digest in select(vec![Digest::Sha1, Digest::Sha256, Digest::Sha384, Digest::Sha512]),
        tolerance in time(),
        allows: bool,
    ) -> Subscribe {
        let network = quaich_config::addr::network("10.0.0.0/8").expect("a network");
        Subscribe {
            listen: vec![
                ListenAddr::Tcp(([127, 0, 0, 1], port).into()),
                ListenAddr::Unix(path),
            ],
            key_dir,
            digest,
            allow: allows.then_some(network).into_iter().collect(),
            tolerance,
        }
    }
}

fn check_kind() -> impl Strategy<Value = CheckKind> {
    let expect = vec(
        select(vec![(200, 299), (401, 401), (200, 204), (300, 399)]),
        1..4,
    );
    let body = of(prop_oneof!["[^~]{1,20}", Just("~^ok [0-9]+".to_owned())]);
    let page = (
        select(vec!["GET", "HEAD", "M-SEARCH"]),
        "/[a-z?=%0-9]{0,20}",
    );
    prop_oneof![
        Just(CheckKind::Connect),
        Just(CheckKind::Agent),
        (
            page,
            of("[a-z]{1,9}\\.example(:80)?"),
            any::<bool>(),
            expect,
            body
        )
            .prop_map(
                |((method, path), host, http10, expect, body)| CheckKind::Http {
                    method: method.into(),
                    path,
                    host,
                    http10,
                    expect,
                    body,
                }
            ),
    ]
}

prop_compose! {
    fn health()(
        kind in check_kind(),
        times in vec(time(), 2),
        (fall, rise) in (1_u32..1000, 1_u32..1000),
        port in 1_u16..,
        initially_up: bool,
    ) -> Health {
        Health {
            // Unix sockets have no other port.
            port: (kind == CheckKind::Agent).then_some(port),
            kind,
            every: times[0],
            timeout: times[1],
            fall,
            rise,
            initially_up,
        }
    }
}

prop_compose! {
    fn passive()(
        (errors, max_ejected) in (1_u32..1000, 0_u8..=100),
        times in vec(time(), 2),
    ) -> Passive {
        Passive { errors, within: times[0], eject: times[1], max_ejected }
    }
}

prop_compose! {
    fn upstream()(
        name in name(),
        addrs in vec((upstream_addr(), text()), 1..4),
        times in vec(time(), 3),
        (retries, send_proxy) in (0_u32..10, select(vec![
            SendProxy::Off,
            SendProxy::V1,
            SendProxy::V2,
        ])),
        // Servers of one upstream speak what `h2` allows.
        (h2, (secure, protocol)) in select(vec![
            (H2::Auto, (false, UpstreamProtocol::Http)),
            (H2::Auto, (false, UpstreamProtocol::H2c)),
            (H2::Auto, (true, UpstreamProtocol::Http)),
            (H2::On, (true, UpstreamProtocol::Http)),
            (H2::On, (false, UpstreamProtocol::H2c)),
            (H2::Off, (true, UpstreamProtocol::Http)),
            (H2::Off, (false, UpstreamProtocol::Http)),
            (H2::Auto, (false, UpstreamProtocol::Uwsgi)),
            (H2::Auto, (false, UpstreamProtocol::FastCgi)),
            (H2::Off, (false, UpstreamProtocol::Scgi)),
        ]),
        modifiers: (u8, u8),
        params in select(vec![Params::Wsgi, Params::Nginx, Params::Apache]),
        tls in upstream_tls(),
        (balance, slow_start) in (balance(), select(vec![Duration::ZERO, Duration::from_secs(30)])),
        (weight, spare, max_conns) in (0_u32..=65_535, any::<bool>(), 0_usize..3),
        (retry_on, retry_budget) in (retry_on(), 0_u8..=100),
        (discover, resolver) in (of(discover()), vec(any::<u16>(), 0..3)),
        (health, passive, retry_after) in (of(health()), of(passive()), time()),
        sticky in of(sticky::sticky()),
    ) -> Upstream {
        let has_paths = addrs.iter().any(|(addr, _)| matches!(addr, UpstreamAddr::Unix(_)));
        let health = health.filter(|health| health.port.is_none() || !has_paths);
        let server = |(index, (addr, id))| UpstreamServer {
            id: format!("{id}{index}"),
            addr,
            tls: secure,
            protocol,
            weight,
            backup: spare && index > 0,
            max_conns,
            cookie: Some(format!("c{index}")),
            modifiers: if protocol == UpstreamProtocol::Uwsgi { modifiers } else { (0, 0) },
        };
        Upstream {
            name,
            servers: addrs.into_iter().enumerate().map(server).collect(),
            discover: discover.filter(|d| !matches!(d, Discover::Dns { .. }) || !secure),
            resolve: times[0],
            resolver: resolver.into_iter().map(|port| ([127, 0, 0, 1], port).into()).collect(),
            balance,
            slow_start,
            sticky,
            health,
            passive,
            retry_after,
            retry_on,
            retry_budget,
            max_queue: 7,
            queue_timeout: times[0],
            keepalive_age: slow_start,
            send_proxy,
            params,
            connect_timeout: times[0],
            timeout: times[1],
            retries,
            keepalive: 32,
            keepalive_timeout: times[2],
            tls: if secure { tls } else { UpstreamTls::default() },
            h2,
        }
    }
}

fn host() -> impl Strategy<Value = HostPattern> {
    prop_oneof![
        Just(HostPattern::Any),
        "[a-z]{1,9}\\.example".prop_map(HostPattern::Exact),
        "\\.[a-z]{1,9}\\.example".prop_map(HostPattern::Suffix),
    ]
}

fn path() -> impl Strategy<Value = PathPattern> {
    prop_oneof![
        "/[a-zä /\"\\\\]{0,20}".prop_map(PathPattern::Exact),
        "/([a-zä /\"\\\\]{0,20}/)?".prop_map(PathPattern::Prefix),
        "/[a-z]{1,9}\\*\\.[a-z]{1,3}".prop_map(PathPattern::Glob),
        Just(PathPattern::Regex("^/v[0-9]+\\.\"".into())),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        Just(Action::App(0)),
        Just(Action::Upstream(0)),
        (400_u16..600).prop_map(Action::Status),
        (
            select(vec![301, 302, 303, 307, 308]),
            "/[a-z]{0,9}(\\{path\\})?"
        )
            .prop_map(|(code, to)| Action::Redirect { to, code }),
        (205_u16..300, text(), "[a-z]{0,5}").prop_map(|(status, body, content_type)| {
            Action::Respond {
                status,
                body,
                content_type,
            }
        }),
    ]
}

prop_compose! {
    fn files()(
        root in file(),
        index in vec("[a-zä\"]{1,9}", 0..3),
        expires in of(time()),
        flags in any::<[bool; 3]>(),
        symlinks in select(vec![Symlinks::Off, Symlinks::Inside, Symlinks::Follow]),
    ) -> Files {
        Files {
            root,
            index,
            try_: vec!["{path}".into(), "{path}.html".into()],
            expires,
            list: flags[0],
            precompressed: flags[1],
            hidden: flags[2],
            symlinks,
        }
    }
}

prop_compose! {
    fn route()(
        host in vec(host(), 0..3),
        path in vec(path(), 0..3),
        method in vec("[A-Z]{1,9}", 0..3),
        query in filters::acl::fields("[a-zä=. ]{1,9}"),
        header in filters::acl::fields("[a-z-]{1,9}"),
        prefix in select(vec!["", "/x", "/x/y"]),
        (files, action, protected) in (of(files()), action(), of(file())),
        (max_body, timeout, log) in (of(any::<u64>()), of(time()), any::<bool>()),
        (when, filters) in (filters::acl::when(), filters::filters()),
        variables in btree_map("X_[A-Z_]{1,9}", "[a-zä =]{0,9}(\\{host\\})?", 0..3),
    ) -> Route {
        Route {
            origin: String::new(),
            host,
            path,
            method,
            query,
            header,
            prefix: prefix.into(),
            files,
            sendfile: sticky::sendfile(&action, protected),
            action,
            max_body,
            timeout,
            variables: variables.into_iter().collect(),
            when,
            filters,
            log,
        }
    }
}

prop_compose! {
    fn config()(
        server in server(),
        tls in tls(),
        app in app(),
        upstream in upstream(),
        routes in vec(vec(route(), 1..4), 1..3),
        (redirect_https, own_client) in (any::<bool>(), of(client_auth())),
        hsts in of(select(vec![
            "max-age=0",
            "max-age=31536000; includeSubDomains",
            "max-age=63072000; includeSubDomains; preload",
        ])),
        output in prop_oneof![
            Just(LogOutput::Off),
            Just(LogOutput::Stdout),
            Just(LogOutput::Stderr),
            file().prop_map(LogOutput::File),
        ],
        format in prop_oneof![
            Just(AccessFormat::Common),
            Just(AccessFormat::Combined),
            Just(AccessFormat::Json),
            Just(AccessFormat::Pretty),
            "[a-z\" ]{0,9}\\{status\\}".prop_map(AccessFormat::Template),
        ],
        socket in of(file()),
        (access_log, subscribe) in (any::<bool>(), subscribe()),
        (acls, limits) in (filters::acl::tables(), filters::limit::tables()),
        (auths, site_filters) in (filters::auth::tables(), filters::filters()),
    ) -> Config {
        let listeners = server.listeners.len();
        let mut tcp = upstream.clone();
        tcp.name = "takes-any-bytes".into();
        tcp.servers.truncate(1);
        for server in &mut tcp.servers {
            (server.tls, server.protocol) = (false, UpstreamProtocol::Tcp);
        }
        (tcp.tls, tcp.h2) = (UpstreamTls::default(), H2::Auto);
        tcp.discover = tcp.discover.map(|_| Discover::Srv {
            name: "_db._tcp.a".into(),
            protocol: UpstreamProtocol::Tcp,
            tls: false,
        });
        // There are no requests to look at.
        tcp.retry_on = RetryOn::default();
        tcp.sticky = tcp.sticky.filter(|sticky| matches!(sticky.by, StickyBy::ClientIp));
        if matches!(&tcp.balance, Balance::Hash(key) if *key != HashKey::ClientIp) {
            tcp.balance = Balance::Hash(HashKey::ClientIp);
        }
        // Who asks for certificates of clients must speak TLS.
        let secure = server.listeners.last();
        let secure = secure.is_some_and(|last| last.tls && !matches!(last.other, Some(OtherProtocol::Tcp { .. })));
        let tls_client = own_client.filter(|own| secure && *own != tls.client);
        let site = |(index, routes): (usize, Vec<Route>)| Site {
            name: format!("site{index}"),
            hosts: vec![HostPattern::Exact(format!("host{index}.example"))],
            listeners: if index == 0 { Vec::new() } else { vec![listeners - 1] },
            routes,
            access_log,
            redirect_https,
            hsts: hsts.map(str::to_owned),
            tls_client: tls_client.clone(),
            filters: site_filters.clone(),
        };
        Config {
            server,
            tls,
            apps: vec![app],
            sites: routes.into_iter().enumerate().map(site).collect(),
            log: Log { level: "info".into(), output: output.clone(), format: "auto".into() },
            access_log: AccessLog { output, format },
            admin: Admin { socket },
            subscribe: Some(subscribe),
            acls,
            limits,
            auths: filters::auth::fitting(auths, &upstream),
            upstreams: vec![upstream, tcp],
        }
    }
}

/// Something like a line of TOML, or not.
fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\[{1,2}[a-z.]{0,20}\\]{1,2}",
        "[a-z]{1,9} = [^\n]{0,9}",
        ".*"
    ]
}

/// Takes away what says where a value came from, and what is made from the sites.
fn without_origins(mut config: Config) -> Config {
    if let Some(acme) = &mut config.tls.acme {
        acme.names.clear();
    }
    config
        .apps
        .iter_mut()
        .for_each(|app| app.python_origin.clear());
    config
        .sites
        .iter_mut()
        .flat_map(|site| &mut site.routes)
        .for_each(|r| r.origin.clear());
    config
}

fn reload(text: &str) -> Config {
    let loaded = parse(
        "printed.toml",
        text,
        Path::new("/elsewhere"),
        &Surroundings::default(),
    );
    let shown = render(&loaded, false, 100);
    without_origins(loaded.config.unwrap_or_else(|| panic!("{shown}\n{text}")))
}

proptest! {
    #[test]
    fn what_is_printed_loads_to_the_same(config in config()) {
        prop_assert_eq!(reload(&print::to_toml(&config, None)), config);
    }

    #[test]
    fn the_model_survives_json(config in config()) {
        let text = serde_json::to_string(&config).expect("serialisable");
        let back: Config = serde_json::from_str(&text).expect("readable");
        prop_assert_eq!(back, config);
    }

    #[test]
    fn no_text_makes_loading_panic(lines in vec(line(), 0..9)) {
        let text = lines.join("\n");
        let loaded = parse("any.toml", &text, Path::new("/"), &Surroundings::default());
        let _ = (render(&loaded, true, 80), quaich_config::to_json(&loaded));
    }
}

#[test]
fn short_forms_and_defaults_print_what_they_stand_for() {
    let text = "[[server.listener]]\naddr = \":443\"\ntls = false\n\
                [tls.client]\nmode = \"off\"\nca = \"clients.pem\"\n\
                [app.shop]\nmodule = \"shop.wsgi\"\nvenv = \".venv\"\n\
                [site.main]\nroot = \"public\"\napp = \"shop\"\n\
                [site.wedding]\nhosts = [\"*.erin.example\"]\nproxy = \"127.0.0.1:8081\"\n\
                [[site.wedding.route]]\npath = \"/live\"\nproxy = \"http+unix:live.sock\"\n";
    let loaded = parse(
        "quaich.toml",
        text,
        Path::new("/srv"),
        &Surroundings::default(),
    );
    let config = loaded.config.expect("valid");
    let python = &config.apps[0].python;
    assert_eq!(python, Path::new("/srv/.venv/bin/python"));
    assert_eq!(config.upstreams[0].name, "http+unix:/srv/live.sock");
    let printed = print::to_toml(&config, Some(&loaded.origins));
    assert!(printed.contains("# quaich.toml:9"), "{printed}");
    assert!(printed.contains("# default"), "{printed}");
    assert_eq!(reload(&printed), without_origins(config));
}
