//! The addresses of one server, shared by all threads: `discovery` looks them up beside the
//! requests, `endpoint` takes them when it opens a connection.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quaich_config::model::UpstreamAddr;
use tokio::sync::watch;

/// Where one server can be connected to.
#[derive(Debug)]
pub struct Addresses {
    name: Option<(String, u16)>,
    known: watch::Sender<Known>,
    version: AtomicU64,
}

#[derive(Clone, Debug)]
enum Known {
    /// Nobody has looked yet.
    Pending,
    /// The name could never be looked up.
    Nothing,
    Addresses(Arc<[SocketAddr]>),
}

impl Addresses {
    /// Those that need no look-up are known at once; a unix socket has none.
    pub fn new(addr: &UpstreamAddr) -> Self {
        let (name, known) = match addr {
            UpstreamAddr::Unix(_) => (None, Known::Nothing),
            UpstreamAddr::Tcp { host, port } => match host.parse::<IpAddr>() {
                Ok(ip) => (None, Known::Addresses([(ip, *port).into()].into())),
                Err(_) => (Some((host.clone(), *port)), Known::Pending),
            },
        };
        Self {
            name,
            known: watch::Sender::new(known),
            version: AtomicU64::new(0),
        }
    }

    /// Name and port, if the addresses have to be looked up.
    pub fn name(&self) -> Option<(&str, u16)> {
        self.name
            .as_ref()
            .map(|(name, port)| (name.as_str(), *port))
    }

    /// The addresses in the order in which they are to be tried. Waits for the first look-up;
    /// `None` = the name could never be looked up.
    pub async fn get(&self) -> Option<Arc<[SocketAddr]>> {
        let mut watched = self.known.subscribe();
        let settled = watched.wait_for(|known| !matches!(known, Known::Pending));
        match &*settled.await.ok()? {
            Known::Addresses(addrs) => Some(addrs.clone()),
            Known::Nothing | Known::Pending => None,
        }
    }

    /// The addresses from now on; whether others than before are among them, or fewer.
    pub fn set(&self, addrs: Vec<SocketAddr>) -> bool {
        let changed = self.known.send_if_modified(|known| {
            let same = match known {
                Known::Addresses(old) => {
                    old.len() == addrs.len() && addrs.iter().all(|addr| old.contains(addr))
                }
                Known::Pending | Known::Nothing => false,
            };
            if !same {
                *known = Known::Addresses(addrs.into());
            }
            !same
        });
        if changed {
            self.version.fetch_add(1, Ordering::Release);
        }
        changed
    }

    /// A look-up has failed: what is known stays in use. How many addresses that are.
    pub fn keep(&self) -> usize {
        self.known.send_if_modified(|known| {
            let first = matches!(known, Known::Pending);
            if first {
                *known = Known::Nothing;
            }
            first
        });
        match &*self.known.borrow() {
            Known::Addresses(addrs) => addrs.len(),
            Known::Pending | Known::Nothing => 0,
        }
    }

    /// Grows with every change.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Whether a connection to `peer` is one to this server still.
    pub fn include(&self, peer: &SocketAddr) -> bool {
        match &*self.known.borrow() {
            Known::Addresses(addrs) => addrs.contains(peer),
            Known::Pending | Known::Nothing => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named() -> Addresses {
        Addresses::new(&UpstreamAddr::Tcp {
            host: "app.internal".into(),
            port: 80,
        })
    }

    fn addr(last: u8) -> SocketAddr {
        ([127, 0, 0, last], 80).into()
    }

    #[tokio::test]
    async fn whoever_connects_waits_for_the_first_look_up_only() {
        let addresses = named();
        let waiting = addresses.get();
        let (found, changed) = tokio::join!(waiting, async { addresses.set(vec![addr(1)]) });
        assert!(changed && found.is_some_and(|found| *found == [addr(1)]));
        assert_eq!(addresses.keep(), 1, "a failure later changes nothing");
        assert!(addresses.get().await.is_some());
    }

    #[tokio::test]
    async fn a_name_that_was_never_found_has_no_addresses() {
        let addresses = named();
        assert_eq!(addresses.keep(), 0);
        assert!(addresses.get().await.is_none());
    }

    #[test]
    fn another_order_is_no_change() {
        let addresses = named();
        assert!(addresses.set(vec![addr(1), addr(2)]));
        assert!(!addresses.set(vec![addr(2), addr(1)]));
        assert!(addresses.set(vec![addr(2)]));
        assert_eq!(addresses.version(), 2);
        assert!(!addresses.include(&addr(1)) && addresses.include(&addr(2)));
    }
}
