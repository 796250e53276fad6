//! How many connections each client address has, over all threads. Only asked when a limit is set.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Connections per address.
#[derive(Debug)]
pub struct PerAddress {
    limit: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// One counted connection; gives its place back when dropped.
#[derive(Debug)]
pub struct Place {
    table: Arc<PerAddress>,
    key: IpAddr,
}

impl PerAddress {
    /// At most `limit` connections per address; `None` when there is no limit.
    pub fn new(limit: usize) -> Option<Arc<Self>> {
        (limit > 0).then(|| {
            Arc::new(Self {
                limit,
                open: Mutex::default(),
            })
        })
    }

    /// A place for a connection of `addr`, if one is free.
    pub fn admit(self: &Arc<Self>, addr: IpAddr) -> Option<Place> {
        let key = group(addr);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(key).or_default();
        if *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(Place {
            table: self.clone(),
            key,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self
            .table
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.key);
            }
        }
    }
}

/// A client has one IPv4 address, but a whole /64 of IPv6 addresses.
fn group(addr: IpAddr) -> IpAddr {
    match addr.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_64_share_their_places() {
        let table = PerAddress::new(1).unwrap();
        let first = table.admit("2001:db8::1".parse().unwrap());
        assert!(first.is_some());
        assert!(table.admit("2001:db8::2".parse().unwrap()).is_none());
        assert!(table.admit("2001:db8:0:1::2".parse().unwrap()).is_some());
        drop(first);
        assert!(table.admit("2001:db8::2".parse().unwrap()).is_some());
    }
}
