//! The groups of servers that announce themselves under keys of their own: which one a request
//! belongs to. Shared by all threads; `discovery` changes it, each thread keeps a copy.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::group::Group;

/// Longest key that is looked for.
const MAX_KEY: usize = 255;
/// Folders of a path that a key may name.
const MAX_DEPTH: usize = 3;

/// Groups by key: `host`, `host:port`, `host/folder`; in lower case as far as the host.
pub type ByKey<G> = HashMap<Box<[u8]>, G>;

/// The groups of one upstream.
#[derive(Debug, Default)]
pub struct Sites {
    groups: RwLock<Arc<ByKey<Arc<Group>>>>,
    version: AtomicU64,
}

impl Sites {
    /// The groups of now.
    pub fn groups(&self) -> Arc<ByKey<Arc<Group>>> {
        let groups = self.groups.read();
        groups.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the groups with `change`.
    pub fn change(&self, change: impl FnOnce(&mut ByKey<Arc<Group>>)) {
        let mut groups = self.groups.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut groups));
        drop(groups);
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Grows with every change of `groups`.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }
}

/// All groups: those of `upstreams`, each followed by those of its keys.
pub fn with_groups(upstreams: &[Arc<Group>]) -> Vec<Arc<Group>> {
    let mut all = Vec::new();
    for upstream in upstreams {
        all.push(upstream.clone());
        if let Some(sites) = upstream.sites() {
            let groups = sites.groups();
            let mut by_key: Vec<_> = groups.iter().collect();
            by_key.sort_unstable_by_key(|(key, _)| *key);
            all.extend(by_key.into_iter().map(|(_, group)| group.clone()));
        }
    }
    all
}

/// What belongs to a request for `authority` and `path`: what announced itself for the host with
/// its port, else for the host; for a folder before the whole of it.
pub fn find<'g, G>(groups: &'g ByKey<G>, authority: &[u8], path: &[u8]) -> Option<&'g G> {
    if groups.is_empty() {
        return None;
    }
    let mut key = [0; MAX_KEY];
    let place = key.get_mut(..authority.len())?;
    place.copy_from_slice(authority);
    place.make_ascii_lowercase();
    let mut of = |host: usize| {
        let folders = folders(path, &mut key, host);
        let lengths = folders.into_iter().rev().flatten().chain([host]);
        let mut keys = lengths.filter_map(|length| key.get(..length));
        keys.find_map(|key| groups.get(key))
    };
    let host = host_length(authority);
    of(authority.len()).or_else(|| match host < authority.len() {
        true => of(host),
        false => None,
    })
}

/// Writes the first folders of `path` behind the first `host` bytes of `key`; where each ends.
fn folders(path: &[u8], key: &mut [u8; MAX_KEY], host: usize) -> [Option<usize>; MAX_DEPTH] {
    let mut ends = [None; MAX_DEPTH];
    let mut at = 0;
    for end in &mut ends {
        let Some(rest) = path.get(at + 1..).filter(|rest| !rest.is_empty()) else {
            break;
        };
        let length = rest.iter().position(|b| *b == b'/').unwrap_or(rest.len());
        let to = at + 1 + length;
        let (Some(from), Some(place)) = (path.get(at..to), key.get_mut(host + at..host + to))
        else {
            break;
        };
        place.copy_from_slice(from);
        at = to;
        *end = Some(host + to);
    }
    ends
}

/// Without the port.
fn host_length(authority: &[u8]) -> usize {
    let after = authority.iter().rposition(|b| *b == b']').unwrap_or(0);
    let colon = authority.iter().rposition(|b| *b == b':');
    colon
        .filter(|colon| *colon > after)
        .unwrap_or(authority.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(keys: &[&str], authority: &str, path: &str) -> String {
        let groups: ByKey<String> = keys
            .iter()
            .map(|key| (key.as_bytes().into(), (*key).to_owned()))
            .collect();
        let found = find(&groups, authority.as_bytes(), path.as_bytes());
        found.cloned().unwrap_or_default()
    }

    #[test]
    fn the_port_counts_before_the_host_alone() {
        let keys = ["a.example", "a.example:8000", "[::1]"];
        assert_eq!(found(&keys, "A.example:8000", "/"), "a.example:8000");
        assert_eq!(found(&keys, "a.example:80", "/"), "a.example");
        assert_eq!(found(&keys, "a.example", "/"), "a.example");
        assert_eq!(found(&keys, "[::1]:80", "/"), "[::1]");
        assert_eq!(found(&keys, "[::1]", "/"), "[::1]");
        assert_eq!(found(&keys, "b.example", "/"), "");
        assert_eq!(found(&keys, "", "/"), "");
        assert_eq!(found(&keys, &"a".repeat(300), "/"), "");
    }

    #[test]
    fn the_deepest_folder_counts_first() {
        let keys = ["a", "a/shop", "a/shop/new", "b:80/x"];
        assert_eq!(found(&keys, "a", "/shop/new/1"), "a/shop/new");
        assert_eq!(found(&keys, "a:80", "/shop/new"), "a/shop/new");
        assert_eq!(found(&keys, "a", "/shop/"), "a/shop");
        assert_eq!(found(&keys, "a", "/shopping"), "a");
        assert_eq!(found(&keys, "a", "*"), "a");
        assert_eq!(found(&keys, "b:80", "/x/y"), "b:80/x");
        assert_eq!(found(&keys, "b", "/x/y"), "");
        assert_eq!(found(&keys, "a", &format!("/{}", "x".repeat(300))), "a");
    }
}
