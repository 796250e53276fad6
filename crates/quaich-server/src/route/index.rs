//! Which routes of a site can take a path at all, so that of ten thousand only a few are tried.
//!
//! File order decides among routes. The index never does: it leaves out routes whose paths cannot
//! match, and asks about the others in their order. That it finds what a walk over all routes finds
//! is a property test of `route::tests`.

use std::collections::HashMap;

use quaich_config::model::Route;

use super::literal::Literal;

/// Longest text that is looked up at the begin of a segment or at the end of a path.
const LONGEST: usize = 32;

/// Places of routes, ascending.
type List = Vec<usize>;

/// Routes by what their paths begin and end with.
#[derive(Debug)]
pub(super) struct Index {
    /// A tree of segments; the first is its root, which stands before the first slash.
    nodes: Vec<Node>,
    tails: Vec<Affix>,
    /// Routes of which nothing is known: to be tried for every path.
    rest: List,
}

/// One path that ends at a segment.
#[derive(Debug, Default)]
struct Node {
    children: HashMap<Box<[u8]>, usize>,
    /// Routes of this very path.
    whole: List,
    /// Routes of this path and all below it.
    below: List,
    /// Routes of what begins with this path, a slash and a text.
    heads: Vec<Affix>,
}

/// Texts of one length at the begin or end of something.
#[derive(Debug)]
struct Affix {
    length: usize,
    routes: HashMap<Box<[u8]>, List>,
}

impl Index {
    pub(super) fn new(routes: &[Route]) -> Self {
        let mut index = Self {
            nodes: vec![Node::default()],
            tails: Vec::new(),
            rest: Vec::new(),
        };
        for (place, route) in routes.iter().enumerate() {
            if route.path.is_empty() && !route.prefix.is_empty() {
                let prefix = route.prefix.clone().into_bytes();
                index.add(place, Literal::Below(prefix));
            } else if route.path.is_empty() {
                push(&mut index.rest, place);
            }
            for pattern in &route.path {
                index.add(place, Literal::of(pattern));
            }
        }
        index
    }

    fn add(&mut self, place: usize, literal: Literal) {
        match literal {
            Literal::Whole(path) => match self.node(&path) {
                Some(node) => push(&mut node.whole, place),
                None => push(&mut self.rest, place),
            },
            Literal::Below(path) => match self.node(&path) {
                Some(node) => push(&mut node.below, place),
                None => push(&mut self.rest, place),
            },
            Literal::Heads(heads) => heads.iter().for_each(|head| self.add_head(place, head)),
            Literal::Tails(tails) => {
                for tail in &tails {
                    let from = tail.len().saturating_sub(LONGEST);
                    push(affix(&mut self.tails, &tail[from..]), place);
                }
            }
            Literal::Unknown => push(&mut self.rest, place),
        }
    }

    /// `/a/b-` is `b-` below `/a`.
    fn add_head(&mut self, place: usize, head: &[u8]) {
        let slash = memchr::memrchr(b'/', head);
        let split = slash.and_then(|at| Some((head.get(..at)?, head.get(at + 1..)?)));
        let Some((path, text)) = split else {
            push(&mut self.rest, place);
            return;
        };
        match self.node(path) {
            Some(node) if text.is_empty() => push(&mut node.below, place),
            Some(node) => {
                let text = text.get(..LONGEST).unwrap_or(text);
                push(affix(&mut node.heads, text), place);
            }
            None => push(&mut self.rest, place),
        }
    }

    /// The node of a path, which is made if it is not there; `None` = the path begins with no slash.
    fn node(&mut self, path: &[u8]) -> Option<&mut Node> {
        let mut at = 0;
        let mut segments = path.split(|&byte| byte == b'/');
        if segments.next() != Some(b"") {
            return None;
        }
        for segment in segments {
            let next = self.nodes.len();
            let node = self.nodes.get_mut(at)?;
            at = *node.children.entry(segment.into()).or_insert(next);
            if at == next {
                self.nodes.push(Node::default());
            }
        }
        self.nodes.get_mut(at)
    }

    /// The first route for which `takes` holds, among those whose paths may match `path`.
    pub(super) fn first(&self, path: &[u8], takes: impl Fn(usize) -> bool) -> Option<usize> {
        let mut first = First {
            best: usize::MAX,
            takes,
        };
        self.walk(path, &mut first);
        for affix in &self.tails {
            let tail = path.len().checked_sub(affix.length);
            if let Some(tail) = tail.and_then(|from| path.get(from..)) {
                first.among(affix.routes.get(tail));
            }
        }
        first.among(Some(&self.rest));
        (first.best != usize::MAX).then_some(first.best)
    }

    /// Goes down the tree as far as there are segments of `path` in it.
    fn walk(&self, path: &[u8], first: &mut First<impl Fn(usize) -> bool>) {
        let Some(mut node) = self.nodes.first() else {
            return;
        };
        let mut rest = path.strip_prefix(b"/");
        loop {
            first.among(Some(&node.below));
            let Some(text) = rest else {
                first.among(Some(&node.whole));
                return;
            };
            for affix in &node.heads {
                if let Some(head) = text.get(..affix.length) {
                    first.among(affix.routes.get(head));
                }
            }
            let slash = memchr::memchr(b'/', text);
            let (segment, after) = text.split_at(slash.unwrap_or(text.len()));
            let next = node.children.get(segment);
            let Some(next) = next.and_then(|&at| self.nodes.get(at)) else {
                return;
            };
            node = next;
            rest = slash.and_then(|_| after.get(1..));
        }
    }
}

/// The search for the first route that takes a request.
struct First<F> {
    best: usize,
    takes: F,
}

impl<F: Fn(usize) -> bool> First<F> {
    fn among(&mut self, list: Option<&List>) {
        for &place in list.into_iter().flatten() {
            if place >= self.best {
                return;
            }
            if (self.takes)(place) {
                self.best = place;
            }
        }
    }
}

/// The list of `text` in `all`.
fn affix<'a>(all: &'a mut Vec<Affix>, text: &[u8]) -> &'a mut List {
    let length = text.len();
    let at = all.iter().position(|affix| affix.length == length);
    let at = at.unwrap_or_else(|| {
        let routes = HashMap::new();
        all.push(Affix { length, routes });
        all.len() - 1
    });
    all[at].routes.entry(text.into()).or_default()
}

fn push(list: &mut List, place: usize) {
    if list.last() != Some(&place) {
        list.push(place);
    }
}
