//! The connector against servers made of rustls' own blocking connections.

use std::future::poll_fn;
use std::io::{self, IoSlice, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, ServerConfig, ServerConnection, StreamOwned};
use tokio::runtime::{Builder, LocalOptions};

use super::*;

type Served = StreamOwned<ServerConnection, UnixStream>;

/// An authority and a server's certificate of it.
struct World {
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl World {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self {
            authority: CertifiedIssuer::self_signed(params, key).unwrap(),
        }
    }

    fn leaf(&self, name: &str) -> (CertificateDer<'static>, KeyPair) {
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        (certificate.der().clone(), key)
    }

    fn server(&self, name: &str, change: impl Fn(&mut ServerConfig)) -> Arc<ServerConfig> {
        let builder = ServerConfig::builder_with_provider(provider());
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let (chain, key) = self.leaf(name);
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let builder = builder.with_no_client_auth();
        let mut config = builder.with_single_cert(vec![chain], key).unwrap();
        change(&mut config);
        Arc::new(config)
    }

    fn material(&self) -> UpstreamMaterial {
        UpstreamMaterial {
            ca: self.authority.pem(),
            ..UpstreamMaterial::default()
        }
    }

    fn connector(&self) -> Connector {
        Connector::new(&model::UpstreamTls::default(), &self.material(), &[]).unwrap()
    }
}

/// Runs `serve` on the other end of a new socket.
fn serve<T: Send + 'static>(
    config: Arc<ServerConfig>,
    serve: impl FnOnce(&mut Served) -> io::Result<T> + Send + 'static,
) -> (UnixStream, JoinHandle<io::Result<T>>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let server = std::thread::spawn(move || {
        let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), theirs);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        serve(&mut stream)
    });
    (ours, server)
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread()
        .enable_io()
        .build_local(LocalOptions::default())
        .unwrap();
    runtime.block_on(future)
}

async fn connect(
    connector: &Connector,
    socket: UnixStream,
    name: &str,
) -> io::Result<(Stream, Option<Vec<u8>>)> {
    connector.connect(Socket::new(socket.into())?, name).await
}

async fn write(stream: &Stream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let sent = poll_fn(|cx| stream.poll_write(cx, &[IoSlice::new(bytes)])).await?;
        bytes = &bytes[sent..];
    }
    Ok(())
}

async fn read(stream: &Stream, buf: &mut [u8]) -> io::Result<usize> {
    poll_fn(|cx| stream.poll_read(cx, buf)).await
}

/// What a server says of the handshake, and echoes one message.
fn echo(stream: &mut Served) -> io::Result<Option<HandshakeKind>> {
    let mut piece = [0; 64];
    let count = stream.read(&mut piece)?;
    stream.write_all(&piece[..count])?;
    stream.conn.send_close_notify();
    stream.flush()?;
    Ok(stream.conn.handshake_kind())
}

/// One connection and one message: how the server found the handshake.
fn talk(
    connector: &Connector,
    config: &Arc<ServerConfig>,
    name: &str,
) -> io::Result<HandshakeKind> {
    let (socket, server) = serve(config.clone(), echo);
    let outcome = run(async {
        let (stream, _) = connect(connector, socket, name).await?;
        write(&stream, b"hello").await?;
        let mut buf = [0; 64];
        let count = read(&stream, &mut buf).await?;
        assert_eq!(&buf[..count], b"hello");
        assert_eq!(read(&stream, &mut buf).await?, 0);
        Ok(())
    });
    let served = server.join().unwrap();
    outcome.and_then(|()| Ok(served?.expect("a handshake")))
}

#[test]
fn the_server_is_checked_by_its_name() {
    let world = World::new();
    let connector = world.connector();
    let config = world.server("app.test", |_| {});
    assert!(talk(&connector, &config, "app.test").is_ok());
    let error = talk(&connector, &config, "other.test").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
    let config = world.server("127.0.0.1", |_| {});
    assert!(talk(&connector, &config, "127.0.0.1").is_ok());
    assert!(talk(&connector, &config, "127.0.0.2").is_err());
    let config = world.server("::1", |_| {});
    assert!(talk(&connector, &config, "[::1]").is_ok());
}

#[test]
fn a_server_of_another_authority_is_refused_unless_nothing_is_checked() {
    let (world, other) = (World::new(), World::new());
    let config = other.server("app.test", |_| {});
    assert!(talk(&world.connector(), &config, "app.test").is_err());
    let trusting = model::UpstreamTls {
        verify: false,
        ..model::UpstreamTls::default()
    };
    let connector = Connector::new(&trusting, &UpstreamMaterial::default(), &[]).unwrap();
    assert!(talk(&connector, &config, "whatever").is_ok());
}

#[test]
fn without_authorities_there_is_no_connector() {
    let none = UpstreamMaterial::default();
    assert!(Connector::new(&model::UpstreamTls::default(), &none, &[]).is_err());
}

#[test]
fn another_name_may_be_asked_for() {
    let world = World::new();
    let settings = model::UpstreamTls {
        sni: Some("inner.test".into()),
        ..model::UpstreamTls::default()
    };
    let connector = Connector::new(&settings, &world.material(), &[]).unwrap();
    let config = world.server("inner.test", |_| {});
    assert!(talk(&connector, &config, "10.0.0.1").is_ok());
    let config = world.server("10.0.0.1", |_| {});
    assert!(talk(&connector, &config, "10.0.0.1").is_err());
}

#[test]
fn a_session_is_resumed() {
    let world = World::new();
    let connector = world.connector();
    let config = world.server("app.test", |_| {});
    let kinds = [(); 3].map(|()| talk(&connector, &config, "app.test").unwrap());
    assert_eq!(
        kinds,
        [
            HandshakeKind::Full,
            HandshakeKind::Resumed,
            HandshakeKind::Resumed
        ]
    );
}

#[test]
fn the_protocol_is_the_one_that_the_server_chose() {
    let world = World::new();
    let connector = Connector::new(
        &model::UpstreamTls::default(),
        &world.material(),
        &[b"h2", b"http/1.1"],
    )
    .unwrap();
    for offered in [&b"h2"[..], b"http/1.1"] {
        let config = world.server("app.test", |config| {
            config.alpn_protocols = vec![offered.to_vec()];
        });
        let (socket, server) = serve(config, |_| Ok(()));
        let chosen = run(async { connect(&connector, socket, "app.test").await.unwrap().1 });
        assert_eq!(chosen.as_deref(), Some(offered));
        // The client has left before the server's tickets came.
        let _ = server.join();
    }
}

#[test]
fn a_certificate_of_our_own_is_shown() {
    let world = World::new();
    let mut roots = RootCertStore::empty();
    roots.add(world.authority.der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let builder = ServerConfig::builder_with_provider(provider());
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_client_cert_verifier(verifier.build().unwrap());
    let (chain, key) = world.leaf("app.test");
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = Arc::new(builder.with_single_cert(vec![chain], key).unwrap());
    assert!(talk(&world.connector(), &config, "app.test").is_err());
    let params = CertificateParams::new(["client.test".to_owned()]).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &world.authority).unwrap();
    let material = UpstreamMaterial {
        chain: certificate.pem(),
        key: key.serialize_pem(),
        ..world.material()
    };
    let connector = Connector::new(&model::UpstreamTls::default(), &material, &[]).unwrap();
    assert!(talk(&connector, &config, "app.test").is_ok());
}

#[test]
fn tickets_do_not_disturb_and_everything_else_does() {
    let world = World::new();
    let connector = world.connector();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let (done, did) = std::sync::mpsc::channel::<()>();
    let (socket, server) = serve(world.server("app.test", |_| {}), move |stream| {
        stream
            .conn
            .refresh_traffic_keys()
            .map_err(io::Error::other)?;
        stream.flush()?;
        done.send(()).unwrap();
        wait.recv().unwrap();
        stream.write_all(b"unasked")?;
        stream.flush()?;
        done.send(()).unwrap();
        let _ = wait.recv();
        Ok(())
    });
    run(async {
        let (stream, _) = connect(&connector, socket, "app.test").await.unwrap();
        did.recv().unwrap();
        poll_fn(|cx| stream.socket().poll_readable(cx))
            .await
            .unwrap();
        assert!(!stream.is_disturbed());
        go.send(()).unwrap();
        did.recv().unwrap();
        poll_fn(|cx| stream.poll_readable(cx)).await.unwrap();
        assert!(stream.is_disturbed());
        let mut buf = [0; 16];
        assert_eq!(read(&stream, &mut buf).await.unwrap(), 7);
    });
    drop(go);
    server.join().unwrap().unwrap();
}

#[test]
fn an_end_without_a_word_is_an_error_and_one_with_it_is_not() {
    let world = World::new();
    let connector = world.connector();
    for polite in [true, false] {
        let (socket, server) = serve(world.server("app.test", |_| {}), move |stream| {
            stream.write_all(b"a part")?;
            if polite {
                stream.conn.send_close_notify();
            }
            stream.flush()
        });
        run(async {
            let (stream, _) = connect(&connector, socket, "app.test").await.unwrap();
            let mut buf = [0; 64];
            assert_eq!(read(&stream, &mut buf).await.unwrap(), 6);
            server.join().unwrap().unwrap();
            let end = read(&stream, &mut buf).await;
            match polite {
                true => assert_eq!(end.unwrap(), 0),
                false => assert_eq!(end.unwrap_err().kind(), io::ErrorKind::UnexpectedEof),
            }
            assert!(stream.is_disturbed());
        });
    }
}

#[test]
fn much_goes_both_ways_at_once() {
    const LENGTH: usize = 3_000_000;
    let world = World::new();
    let connector = world.connector();
    let (socket, server) = serve(world.server("app.test", |_| {}), |stream| {
        let mut piece = vec![0; 50_000];
        let mut left = LENGTH;
        while left > 0 {
            let count = stream.read(&mut piece)?;
            stream.write_all(&piece[..count])?;
            left -= count;
        }
        stream.conn.send_close_notify();
        stream.flush()
    });
    let bytes: Vec<u8> = (0..LENGTH).map(|at| (at ^ at >> 8) as u8).collect();
    run(async {
        let (stream, _) = connect(&connector, socket, "app.test").await.unwrap();
        let (mut sent, mut back) = (0, Vec::new());
        let mut buf = vec![0; 40_000];
        poll_fn(|cx| {
            while sent < LENGTH {
                let rest = &bytes[sent..];
                let (one, two) = rest.split_at(rest.len().min(100));
                let parts = [IoSlice::new(one), IoSlice::new(two)];
                match stream.poll_write(cx, &parts) {
                    std::task::Poll::Ready(count) => sent += count.unwrap(),
                    std::task::Poll::Pending => break,
                }
            }
            loop {
                match stream.poll_read(cx, &mut buf) {
                    std::task::Poll::Ready(count) => match count.unwrap() {
                        0 => return std::task::Poll::Ready(()),
                        count => back.extend_from_slice(&buf[..count]),
                    },
                    std::task::Poll::Pending => return std::task::Poll::Pending,
                }
            }
        })
        .await;
        assert!(back == bytes);
    });
    server.join().unwrap().unwrap();
}
