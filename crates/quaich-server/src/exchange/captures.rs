//! What the pattern of a route or rewrite caught of a request: `{1}`, `{name}`.

use std::ops::Range;
use std::sync::Arc;

/// Groups in their order; 0 is the whole match.
#[derive(Debug, Default)]
pub struct Captures {
    text: Vec<u8>,
    groups: Vec<Range<usize>>,
    /// Names of the groups, of the pattern that matched.
    names: Option<Arc<[Option<Box<str>>]>>,
}

impl Captures {
    /// Forgets them, keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.groups.clear();
        self.names = None;
    }

    /// Takes those of a match; groups that took no part are empty. `names` has a place for each group.
    pub fn set<'g>(
        &mut self,
        groups: impl Iterator<Item = &'g [u8]>,
        names: &Arc<[Option<Box<str>>]>,
    ) {
        self.clear();
        for group in groups {
            let start = self.text.len();
            self.text.extend_from_slice(group);
            self.groups.push(start..self.text.len());
        }
        self.names = Some(names.clone());
    }

    /// Group `index`; `None` = there is none.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        self.text.get(self.groups.get(index)?.clone())
    }

    /// The group called `name`.
    pub fn by_name(&self, name: &str) -> Option<&[u8]> {
        let mut names = self.names.as_ref()?.iter();
        self.get(names.position(|own| own.as_deref() == Some(name))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_by_number_and_name_until_the_next_match() {
        let mut captures = Captures::default();
        assert_eq!(captures.get(0), None);
        let names: Arc<[_]> = [None, Some("id".into())].into();
        captures.set([&b"/a/7"[..], b"7"].into_iter(), &names);
        assert_eq!(captures.get(0), Some(&b"/a/7"[..]));
        assert_eq!(captures.by_name("id"), Some(&b"7"[..]));
        assert_eq!(captures.by_name("other"), None);
        captures.clear();
        assert_eq!(captures.by_name("id"), None);
    }
}
