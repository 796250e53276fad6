//! A whole front in this process: sockets, certificates, a supervisor's end of the link.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::thread::JoinHandle;

use quaich_config::{Config, Surroundings, parse};
use quaich_server::link::{Challenge, FromFront, Link, Material, Setup, ToFront};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

/// A running front with two TLS listeners and one without.
pub struct Front {
    pub tls: SocketAddr,
    /// With TLS too, at 127.0.0.2: who connects by address asks for no name.
    pub second: SocketAddr,
    pub plain: SocketAddr,
    link: Link,
    main: Option<JoinHandle<()>>,
}

impl Front {
    /// Serves `config` (TOML without `[server]`) on two threads.
    pub fn start(config: &str, material: Material) -> Self {
        Self::start_with(config, material, |_: &mut Config| {})
    }

    /// The same, with changes to the configuration.
    pub fn start_with(config: &str, material: Material, change: impl Fn(&mut Config)) -> Self {
        let mut config = compile(config);
        change(&mut config);
        let sockets = ["127.0.0.1:0", "127.0.0.1:0", "127.0.0.2:0"].map(listen);
        let roots: Vec<OwnedFd> = roots(&config);
        let setup = Setup {
            listeners: vec![vec![0], vec![1], vec![2]],
            roots: (sockets.len()..sockets.len() + roots.len()).collect(),
            config,
            material,
            texts: Vec::new(),
            closed: Vec::new(),
            protected: Vec::new(),
            sticky_secrets: Vec::new(),
            access_log: None,
            log: None,
            apps: Vec::new(),
            subscribe: None,
            orders: Vec::new(),
        };
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )
        .expect("a pair of sockets");
        let main = std::thread::spawn(move || _ = quaich_server::front::main(theirs));
        let mut front = Self {
            tls: sockets[0].local_addr().expect("an address"),
            plain: sockets[1].local_addr().expect("an address"),
            second: sockets[2].local_addr().expect("an address"),
            link: Link::new(ours),
            main: Some(main),
        };
        let sockets = sockets.iter().map(AsFd::as_fd);
        let fds: Vec<BorrowedFd<'_>> = sockets.chain(roots.iter().map(AsFd::as_fd)).collect();
        front
            .link
            .send(&ToFront::Start(Box::new(setup)), &fds)
            .expect("the front listens");
        assert!(matches!(front.told(), FromFront::Ready));
        front
    }

    /// The next message of the front.
    fn told(&mut self) -> FromFront {
        let (message, _) = self
            .link
            .recv()
            .expect("the front lives")
            .expect("a message");
        message
    }

    /// Other certificates, in effect when this returns.
    pub fn replace(&mut self, material: Material) {
        self.send(&ToFront::Material(Box::new(material)));
        self.status();
    }

    /// Other challenges, in effect when this returns.
    pub fn challenge(&mut self, challenges: Vec<Challenge>) {
        self.send(&ToFront::Challenges { id: 7, challenges });
        assert!(matches!(self.told(), FromFront::Challenges { id: 7 }));
    }

    /// One of its counters.
    pub fn count(&mut self, name: &str) -> u64 {
        let status = self.status();
        status["counters"][name]
            .as_u64()
            .unwrap_or_else(|| panic!("{status}"))
    }

    fn status(&mut self) -> serde_json::Value {
        self.send(&ToFront::Status { id: 1 });
        match self.told() {
            FromFront::Status { body, .. } => body,
            other => panic!("{other:?}"),
        }
    }

    fn send(&self, message: &ToFront) {
        self.link.send(message, &[]).expect("the front listens");
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.send(&ToFront::Drain { timeout_ms: 0 });
        if let Some(main) = self.main.take() {
            let _ = main.join();
        }
    }
}

/// The configuration as a test writes it, with the three listeners.
fn compile(text: &str) -> Config {
    let text = format!(
        "[server]\nthreads = 2\n\
         [[server.listener]]\nname = \"tls\"\naddr = \"127.0.0.1:1\"\n\
         [[server.listener]]\nname = \"plain\"\naddr = \"127.0.0.1:2\"\n\
         [[server.listener]]\nname = \"second\"\naddr = \"127.0.0.2:1\"\n{text}"
    );
    let loaded = parse("test.toml", &text, Path::new("/"), &Surroundings::default());
    let problems = quaich_config::render(&loaded, false, 80);
    let mut config = loaded.config.unwrap_or_else(|| panic!("{problems}"));
    config.server.listeners[0].tls = true;
    config.server.listeners[2].tls = true;
    config
}

fn listen(addr: &str) -> TcpListener {
    let listener = TcpListener::bind(addr).expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    listener
}

fn roots(config: &Config) -> Vec<OwnedFd> {
    let routes = config.sites.iter().flat_map(|site| &site.routes);
    let roots = routes.filter_map(|route| route.files.as_ref());
    let roots = roots.map(|files| std::fs::File::open(&files.root).expect("the root").into());
    roots.collect()
}
