//! Listen addresses, server URLs, host patterns and networks: text in, model values out, and back.
//!
//! Called by `lower` and by command line flags. Resolves no name and opens nothing.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::model::{
    HostPattern, ListenAddr, Network, UpstreamAddr, UpstreamProtocol, UpstreamServer,
};
use crate::nearest::nearest;

/// A listen address: `":8000"` (all addresses, v6 and v4), `"127.0.0.1:8000"`, `"[::1]:8000"`,
/// `"localhost:8000"` (127.0.0.1), `"unix:PATH"` (relative to `dir`, `unix:@NAME` abstract),
/// `"fd:3"`, `"systemd:NAME"`.
///
/// # Errors
/// What was expected, for people.
pub fn listen(text: &str, dir: &Path) -> Result<ListenAddr, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return unix_path(path, dir).map(ListenAddr::Unix);
    }
    if let Some(number) = text.strip_prefix("fd:") {
        let fd = number.parse::<i32>().ok().filter(|fd| *fd >= 0);
        return fd.map(ListenAddr::Fd).ok_or_else(|| {
            "expected the number of an inherited descriptor, such as \"fd:3\"".into()
        });
    }
    if let Some(name) = text.strip_prefix("systemd:") {
        if name.is_empty() {
            return Err(
                "expected the FileDescriptorName of a socket unit: \"systemd:NAME\"".into(),
            );
        }
        return Ok(ListenAddr::Systemd(name.into()));
    }
    tcp(text).map(ListenAddr::Tcp)
}

fn tcp(text: &str) -> Result<SocketAddr, String> {
    let expected = "expected an address such as \":8000\", \"127.0.0.1:8000\", \"[::1]:8000\" \
                    or \"unix:/run/x.sock\"";
    if text.parse::<u16>().is_ok() {
        return Err(format!("a port alone is no address: write \":{text}\""));
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err(format!(
            "an IPv6 address stands in brackets: \"[{text}]:8000\""
        ));
    }
    let (host, port) = text.rsplit_once(':').ok_or(expected)?;
    let ip = match host {
        "" | "*" => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        "localhost" => IpAddr::from([127, 0, 0, 1]),
        _ => match host
            .strip_prefix('[')
            .and_then(|inner| inner.strip_suffix(']'))
        {
            Some(inner) => IpAddr::V6(inner.parse().map_err(|_| expected.to_owned())?),
            None if host.contains(':') => {
                return Err(format!(
                    "an IPv6 address stands in brackets: \"[{host}]:{port}\""
                ));
            }
            None => IpAddr::V4(host.parse().map_err(|_| expected.to_owned())?),
        },
    };
    Ok(SocketAddr::new(ip, self::port(port)?))
}

fn port(text: &str) -> Result<u16, String> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(port) if digits => Ok(port),
        _ if digits => Err(format!("port {text} is out of range: ports end at 65535")),
        _ => Err(format!("`{text}` is not a port")),
    }
}

fn unix_path(path: &str, dir: &Path) -> Result<PathBuf, String> {
    // sun_path holds 108 bytes including the final NUL (unix(7)).
    match path {
        "" | "@" => Err("expected a path: \"unix:/run/x.sock\"".into()),
        _ if path.contains('\0') => Err("a path holds no NUL".into()),
        _ if path.starts_with('@') => Ok(path.into()),
        _ => {
            let full = dir.join(path);
            let length = full.as_os_str().len();
            if length > 107 {
                return Err(format!(
                    "a socket path has at most 107 bytes, this has {length}"
                ));
            }
            Ok(full)
        }
    }
}

/// Whether clients expect TLS there without being told: on TCP port 443.
#[must_use]
pub fn is_https_port(addr: &ListenAddr) -> bool {
    matches!(addr, ListenAddr::Tcp(addr) if addr.port() == 443)
}

/// The text that `listen` reads back to the same address.
#[must_use]
pub fn show_listen(addr: &ListenAddr) -> String {
    match addr {
        ListenAddr::Tcp(SocketAddr::V6(v6)) if v6.ip().is_unspecified() => {
            format!(":{}", v6.port())
        }
        ListenAddr::Tcp(addr) => addr.to_string(),
        ListenAddr::Unix(path) => format!("unix:{}", path.display()),
        ListenAddr::Fd(fd) => format!("fd:{fd}"),
        ListenAddr::Systemd(name) => format!("systemd:{name}"),
    }
}

/// A server's URL, its id being the URL as written: `"host:port"`, `"SCHEME://host[:port]"` or
/// `"SCHEME+unix:PATH"`; schemes are `http`, `https`, `h2c`, `uwsgi`, `fastcgi` and `scgi`, the last
/// three without a usual port.
///
/// # Errors
/// What was expected, for people.
pub fn server(text: &str, dir: &Path) -> Result<UpstreamServer, String> {
    let (scheme, addr) = server_addr(text, dir)?;
    Ok(UpstreamServer {
        id: text.to_owned(),
        addr,
        tls: scheme == "https",
        protocol: match scheme {
            "h2c" => UpstreamProtocol::H2c,
            "uwsgi" => UpstreamProtocol::Uwsgi,
            "fastcgi" => UpstreamProtocol::FastCgi,
            "scgi" => UpstreamProtocol::Scgi,
            "tcp" => UpstreamProtocol::Tcp,
            _ => UpstreamProtocol::Http,
        },
        weight: 1,
        backup: false,
        max_conns: 0,
        cookie: None,
        modifiers: (0, 0),
    })
}

fn server_addr<'t>(text: &'t str, dir: &Path) -> Result<(&'t str, UpstreamAddr), String> {
    let at_socket = match text.strip_prefix("unix:") {
        Some(path) => Some(("http", path)),
        None => text.split_once("+unix:"),
    };
    if let Some((scheme, path)) = at_socket {
        default_port(scheme)?;
        let path = path.strip_prefix("//").unwrap_or(path);
        let path = unix_path(path, dir)?;
        return Ok((scheme, UpstreamAddr::Unix(path)));
    }
    if let Some(meant) = meant(text) {
        return Err(format!("write \"{meant}\""));
    }
    let (scheme, rest, port) = match text.split_once("://") {
        Some((scheme, rest)) => (scheme, rest, default_port(scheme)?),
        None => ("http", text, None),
    };
    let addr = host_port(rest, port, scheme)?;
    Ok((scheme, addr))
}

/// What was meant by a URL whose slashes are not right, and by a bare path.
fn meant(text: &str) -> Option<String> {
    if text.starts_with(['/', '@']) || text.starts_with("./") {
        return Some(format!("unix:{text}"));
    }
    let (scheme, rest) = text.split_once(':')?;
    // `http:80` is a host and a port.
    if !SCHEMES.contains(&scheme) || rest.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let place = rest.trim_start_matches('/');
    let slashes = rest.len() - place.len();
    let is_path = slashes > 0 && slashes != 2 && place.trim_end_matches('/').contains('/');
    if is_path || (slashes != 2 && place.ends_with(".sock")) {
        return Some(format!("{scheme}+unix:/{place}"));
    }
    (slashes != 2).then(|| format!("{scheme}://{place}"))
}

const SCHEMES: [&str; 7] = ["http", "https", "h2c", "uwsgi", "fastcgi", "scgi", "tcp"];

/// The usual port of a scheme that servers may have, if it has one.
fn default_port(scheme: &str) -> Result<Option<u16>, String> {
    match scheme {
        "http" | "h2c" => Ok(Some(80)),
        "https" => Ok(Some(443)),
        "fastcgi" | "scgi" | "uwsgi" | "tcp" => Ok(None),
        "fcgi" => {
            Err("FastCGI servers are \"fastcgi://host:port\" or \"fastcgi+unix:/path\"".into())
        }
        "h2" => {
            Err("HTTP/2 without TLS is \"h2c://host:port\"; with TLS it is \"https://host\"".into())
        }
        _ => Err(match nearest(scheme, SCHEMES) {
            Some(near) => format!("`{scheme}` is not a scheme; did you mean `{near}`?"),
            None => format!(
                "`{scheme}` is not a scheme; servers are http://host:port, https://host, \
                 h2c://host:port, uwsgi://host:port, fastcgi://host:port, scgi://host:port or \
                 tcp://host:port, or at a socket: unix:/path, uwsgi+unix:/path, ..."
            ),
        }),
    }
}

/// `scheme` is for what is said of a missing port.
fn host_port(text: &str, default_port: Option<u16>, scheme: &str) -> Result<UpstreamAddr, String> {
    let expected = "expected \"host:port\", \"http://host:port\" or \"http+unix:/path\"";
    let authority = text.strip_suffix('/').unwrap_or(text);
    if authority.contains('/') {
        return Err("a server's URL has no path".into());
    }
    if authority.contains('@') || authority.contains('?') || authority.contains('#') {
        return Err(expected.into());
    }
    let (host, port) = if let Some(inner) = authority.strip_prefix('[') {
        let (host, rest) = inner.split_once(']').ok_or(expected)?;
        host.parse::<Ipv6Addr>()
            .map_err(|_| format!("`{host}` is not an IPv6 address"))?;
        (
            host,
            if rest.is_empty() {
                None
            } else {
                Some(rest.strip_prefix(':').ok_or(expected)?)
            },
        )
    } else {
        match authority.split_once(':') {
            Some((_, port)) if port.contains(':') => {
                return Err("an IPv6 address stands in brackets: \"[::1]:8000\"".into());
            }
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        }
    };
    let port = match (port, default_port) {
        (Some(port), _) => self::port(port)?,
        (None, Some(port)) => port,
        (None, None) => {
            host_name(host)?;
            return Err(port_missing(authority, scheme));
        }
    };
    if port == 0 {
        return Err("port 0 cannot be connected to".into());
    }
    if !host.contains(':') {
        host_name(host)?;
    }
    Ok(UpstreamAddr::Tcp {
        host: host.to_ascii_lowercase(),
        port,
    })
}

fn port_missing(authority: &str, scheme: &str) -> String {
    let (before, example) = match scheme {
        "http" => (String::new(), 8000),
        "uwsgi" => ("uwsgi://".to_owned(), 3031),
        _ => (format!("{scheme}://"), 9000),
    };
    format!("the port is missing: \"{before}{authority}:{example}\"")
}

/// The URL that `server` reads back to the same address and scheme.
#[must_use]
pub fn show_server(server: &UpstreamServer) -> String {
    let scheme = match (server.protocol, server.tls) {
        (UpstreamProtocol::Http, true) => "https",
        (UpstreamProtocol::Http, false) => "http",
        (UpstreamProtocol::H2c, _) => "h2c",
        (UpstreamProtocol::Uwsgi, _) => "uwsgi",
        (UpstreamProtocol::FastCgi, _) => "fastcgi",
        (UpstreamProtocol::Scgi, _) => "scgi",
        (UpstreamProtocol::Tcp, _) => "tcp",
    };
    match &server.addr {
        UpstreamAddr::Tcp { host, port } if host.contains(':') => {
            format!("{scheme}://[{host}]:{port}")
        }
        UpstreamAddr::Tcp { host, port } => format!("{scheme}://{host}:{port}"),
        UpstreamAddr::Unix(path) => format!("{scheme}+unix:{}", path.display()),
    }
}

/// A host pattern: `"shop.example.org"`, `"*.example.org"`, `"*"`, `"192.0.2.1"`, `"[::1]"`.
///
/// # Errors
/// What was expected, for people.
pub fn host(text: &str) -> Result<HostPattern, String> {
    let lower = text.to_ascii_lowercase();
    let name = lower.strip_suffix('.').unwrap_or(&lower);
    if name == "*" {
        return Ok(HostPattern::Any);
    }
    if let Some(inner) = name.strip_prefix('[') {
        let inner = inner
            .strip_suffix(']')
            .ok_or("a host has no port; `listen` says the port")?;
        let ip: Ipv6Addr = inner
            .parse()
            .map_err(|_| format!("`{inner}` is not an IPv6 address"))?;
        return Ok(HostPattern::Exact(format!("[{ip}]")));
    }
    if name.contains("://") {
        return Err("a host is a name, not a URL".into());
    }
    if name.contains(':') {
        return Err("a host has no port; `listen` says the port".into());
    }
    if let Some(rest) = name.strip_prefix("*.") {
        host_name(rest)?;
        return Ok(HostPattern::Suffix(format!(".{rest}")));
    }
    host_name(name)?;
    Ok(HostPattern::Exact(name.to_owned()))
}

fn host_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("expected a host name such as \"shop.example.org\"".into());
    }
    if name.contains('*') {
        return Err("`*` stands alone or as the whole first label: \"*.example.org\"".into());
    }
    if name.len() > 253
        || name
            .split('.')
            .any(|label| label.is_empty() || label.len() > 63)
    {
        return Err("labels have 1 to 63 characters, a name at most 253".into());
    }
    match name
        .chars()
        .find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '.'))
    {
        Some(c) if !c.is_ascii() => {
            Err("write names of other scripts in their ASCII form (xn--...)".into())
        }
        Some(c) => Err(format!(
            "`{}` cannot stand in a host name",
            c.escape_default()
        )),
        None => Ok(()),
    }
}

/// The text that `host` reads back to the same pattern.
#[must_use]
pub fn show_host(pattern: &HostPattern) -> String {
    match pattern {
        HostPattern::Exact(name) => name.clone(),
        HostPattern::Suffix(suffix) => format!("*{suffix}"),
        HostPattern::Any => "*".into(),
    }
}

/// A network: `"10.0.0.0/8"`, `"2001:db8::/32"`, or one address.
///
/// # Errors
/// What was expected, for people.
pub fn network(text: &str) -> Result<Network, String> {
    let expected = "expected a network such as \"10.0.0.0/8\" or \"2001:db8::/32\"";
    let (addr, prefix) = text
        .split_once('/')
        .map_or((text, None), |(a, p)| (a, Some(p)));
    let addr: IpAddr = addr.parse().map_err(|_| expected.to_owned())?;
    let bits: u8 = if addr.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        None => bits,
        Some(prefix) => prefix
            .parse::<u8>()
            .ok()
            .filter(|prefix| *prefix <= bits)
            .ok_or_else(|| format!("the prefix length is 0 to {bits}"))?,
    };
    let first = first_address(addr, prefix);
    if first != addr {
        return Err(format!(
            "bits are set behind the prefix; the network is \"{first}/{prefix}\""
        ));
    }
    Ok(Network { addr, prefix })
}

fn first_address(addr: IpAddr, prefix: u8) -> IpAddr {
    match addr {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4((u32::from(v4) & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6((u128::from(v6) & mask).into())
        }
    }
}

/// The text that `network` reads back to the same network.
#[must_use]
pub fn show_network(network: &Network) -> String {
    format!("{}/{}", network.addr, network.prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp_of(text: &str) -> String {
        match listen(text, Path::new("/srv")) {
            Ok(ListenAddr::Tcp(addr)) => addr.to_string(),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_port_behind_a_colon_means_all_addresses() {
        assert_eq!(tcp_of(":80"), "[::]:80");
        assert_eq!(tcp_of("*:80"), "[::]:80");
        assert_eq!(tcp_of("0.0.0.0:80"), "0.0.0.0:80");
        assert_eq!(tcp_of("[::1]:80"), "[::1]:80");
        assert_eq!(tcp_of("localhost:80"), "127.0.0.1:80");
    }

    #[test]
    fn sockets_and_descriptors_are_listen_addresses() {
        let dir = Path::new("/srv");
        assert_eq!(
            listen("unix:x.sock", dir),
            Ok(ListenAddr::Unix("/srv/x.sock".into()))
        );
        assert_eq!(listen("unix:@x", dir), Ok(ListenAddr::Unix("@x".into())));
        assert_eq!(listen("fd:3", dir), Ok(ListenAddr::Fd(3)));
        assert_eq!(
            listen("systemd:web", dir),
            Ok(ListenAddr::Systemd("web".into()))
        );
        let long = format!("unix:/{}", "x".repeat(107));
        for text in [
            "", ":", "80", ":+80", ":65536", "::1", "fd:-1", "unix:", "x:80", &long,
        ] {
            assert!(listen(text, dir).is_err(), "{text}");
        }
    }

    #[test]
    fn servers_are_http_with_or_without_scheme() {
        let dir = Path::new("/srv");
        let tcp = |host: &str, port| {
            Ok(UpstreamAddr::Tcp {
                host: host.into(),
                port,
            })
        };
        let addr = |text| server(text, dir).map(|server| server.addr);
        assert_eq!(addr("a.example:81"), tcp("a.example", 81));
        assert_eq!(addr("http://A.example/"), tcp("a.example", 80));
        assert_eq!(addr("http://[::1]:81"), tcp("::1", 81));
        let unix = Ok(UpstreamAddr::Unix("/run/x".into()));
        for text in [
            "unix:/run/x",
            "http+unix:/run/x",
            "http+unix:///run/x",
            "h2c+unix:/run/x",
        ] {
            assert_eq!(addr(text), unix, "{text}");
        }
        assert_eq!(addr("tcp://a:80"), tcp("a", 80));
        assert!(addr("tcp://a").is_err());
        for text in [
            "uwsgi+unix:/run/x",
            "fastcgi+unix:/run/x",
            "scgi+unix:/run/x",
        ] {
            assert_eq!(addr(text), unix, "{text}");
        }
        assert_eq!(addr("fastcgi://a:9000"), tcp("a", 9000));
        for text in [
            "",
            "a",
            "a:",
            "a:b",
            "a:0",
            "http://u@a:1",
            "uwsgi://a",
            "fcgi://a:9000",
            "http://[::1",
            "::1:80",
            "a b:1",
        ] {
            assert!(server(text, dir).is_err(), "{text}");
        }
    }

    #[test]
    fn the_scheme_of_a_server_says_how_it_is_spoken_to() {
        let dir = Path::new("/srv");
        for (text, tls, h2c, shown) in [
            ("a:81", false, false, "http://a:81"),
            ("https://a", true, false, "https://a:443"),
            ("https+unix:x", true, false, "https+unix:/srv/x"),
            ("h2c://[::1]", false, true, "h2c://[::1]:80"),
        ] {
            let server = server(text, dir).expect(text);
            let is_h2c = server.protocol == UpstreamProtocol::H2c;
            assert_eq!((server.tls, is_h2c), (tls, h2c), "{text}");
            assert_eq!((show_server(&server), &*server.id), (shown.into(), text));
        }
        assert!(server("h2://a", dir).is_err());
        assert!(server("ftp+unix:/a", dir).is_err());
    }

    #[test]
    fn a_wrong_server_is_told_what_to_write() {
        for (text, hint) in [
            ("uwsgi://127.0.0.1", "missing: \"uwsgi://127.0.0.1:3031\""),
            ("fastcgi://php/", "missing: \"fastcgi://php:9000\""),
            ("127.0.0.1", "missing: \"127.0.0.1:8000\""),
            ("uwsgi:127.0.0.1:3031", "write \"uwsgi://127.0.0.1:3031\""),
            ("http:/127.0.0.1:8000", "write \"http://127.0.0.1:8000\""),
            ("/run/x.sock", "write \"unix:/run/x.sock\""),
            ("uwsgi:/run/x.sock", "write \"uwsgi+unix:/run/x.sock\""),
            ("uwsgi:///run/x.sock", "write \"uwsgi+unix:/run/x.sock\""),
            ("uswgi://a:1", "did you mean `uwsgi`?"),
            ("gopher://a:1", "uwsgi+unix:/path"),
        ] {
            let reason = server(text, Path::new("/srv")).expect_err(text);
            assert!(reason.contains(hint), "{text}: {reason}");
        }
        assert!(server("http:80", Path::new("/srv")).is_ok());
    }

    #[test]
    fn hosts_are_compared_in_lower_case_without_a_trailing_dot() {
        assert_eq!(
            host("Shop.Example."),
            Ok(HostPattern::Exact("shop.example".into()))
        );
        assert_eq!(
            host("*.example"),
            Ok(HostPattern::Suffix(".example".into()))
        );
        assert_eq!(host("[::0:1]"), Ok(HostPattern::Exact("[::1]".into())));
        for text in [
            "",
            ".",
            "a..b",
            "a b",
            "*x.example",
            "a:80",
            "[::1]:80",
            "bücher.example",
        ] {
            assert!(host(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_network_without_prefix_length_is_one_address() {
        assert_eq!(network("192.0.2.1").map(|n| n.prefix), Ok(32));
        assert_eq!(network("::/0").map(|n| n.prefix), Ok(0));
        assert!(network("10.0.0.1/8").is_err());
        assert!(network("::/129").is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "[a-z0-9:/.@%*\\[\\]+ ]{0,24}|.*") {
            let dir = Path::new("/srv");
            let _ = (listen(&text, dir), server(&text, dir), host(&text), network(&text));
        }
    }
}
