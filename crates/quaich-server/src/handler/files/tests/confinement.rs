//! Nothing from outside the root, and nothing but regular files.

use std::os::unix::net::UnixListener;

use proptest::prelude::*;

use super::*;

fn by_policy(tree: &Tree, path: &str) -> [String; 3] {
    [Symlinks::Off, Symlinks::Inside, Symlinks::Follow].map(|symlinks| {
        let handler = tree.handler(|files| files.symlinks = symlinks);
        let cold = summary(&get(path).of_cold(&handler));
        assert_eq!(summary(&get(path).of(&handler)), cold, "{path}");
        cold
    })
}

#[test]
fn links_are_followed_as_far_as_the_policy_says() {
    let tree = Tree::new();
    tree.write("../outside/secret", "secret");
    tree.write("in/file", "file");
    tree.link("link", "in/file");
    tree.link("in/up", "../in/file");
    tree.link("dir", "in");
    tree.link("out", "../outside/secret");
    tree.link("outdir", "../outside");
    tree.link("absolute", tree.path("../outside/secret"));
    tree.link("chain", "out");
    tree.link("dangling", "nowhere");
    tree.link("loop", "loop");
    let cases = [
        ("/in/file", ["200 file", "200 file", "200 file"]),
        ("/link", ["404", "200 file", "200 file"]),
        ("/in/up", ["404", "200 file", "200 file"]),
        ("/dir/file", ["404", "200 file", "200 file"]),
        ("/out", ["404", "404", "200 secret"]),
        ("/outdir/secret", ["404", "404", "200 secret"]),
        ("/absolute", ["404", "404", "200 secret"]),
        ("/chain", ["404", "404", "200 secret"]),
        ("/dangling", ["404", "404", "404"]),
        ("/loop", ["404", "404", "404"]),
    ];
    for (path, expected) in cases {
        assert_eq!(by_policy(&tree, path), expected, "{path}");
    }
}

#[test]
fn dot_segments_and_nul_lead_nowhere_under_any_policy() {
    let tree = Tree::new();
    tree.write("../secret", "secret");
    tree.write("a/b", "b");
    for path in [
        "/../secret",
        "/a/../../secret",
        "/a/../a/b",
        "/./a/b",
        "/a/b\0",
        "/..",
        "/a\0/b",
    ] {
        assert_eq!(by_policy(&tree, path), ["404", "404", "404"], "{path:?}");
    }
    let long = format!("/{}", "x".repeat(5000));
    assert_eq!(by_policy(&tree, &long), ["404", "404", "404"]);
}

#[test]
fn a_prefix_of_the_roots_name_is_not_the_root() {
    let tree = Tree::new();
    tree.write("../root-secret/s", "secret");
    for path in ["/../root-secret/s", "-secret/s", "/-secret/s"] {
        assert_eq!(by_policy(&tree, path), ["404", "404", "404"], "{path}");
    }
}

#[test]
fn only_regular_files_are_served() {
    let tree = Tree::new();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, tree.path("fifo"), mode).expect("a FIFO");
    let _socket = UnixListener::bind(tree.path("socket")).expect("a socket");
    tree.link("device", "/dev/null");
    tree.link("process", "/proc/self/exe");
    for path in ["/fifo", "/socket", "/device"] {
        assert_eq!(by_policy(&tree, path), ["404", "404", "404"], "{path}");
    }
    let handler = tree.handler(|files| files.symlinks = Symlinks::Follow);
    assert_eq!(
        summary(&get("/process").of(&handler)),
        "404",
        "a magic link"
    );
}

#[test]
fn a_file_swapped_for_a_link_out_is_not_followed() {
    let tree = Tree::new();
    tree.write("../secret", "secret");
    let path = tree.write("page", "page");
    let handler = tree.handler(|_| {});
    let now = later();
    assert_eq!(summary(&get("/page").at(now).of(&handler)), "200 page");
    fs::remove_file(path).expect("removed");
    tree.link("page", "../secret");
    assert_eq!(summary(&get("/page").at(now + 1).of(&handler)), "404");
}

/// What stands at a place of a random tree.
#[derive(Clone, Debug)]
enum Node {
    File,
    Link(String),
}

fn segment() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "c", "..", ".", "out", "..a", ""])
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(segment(), 1..5).prop_map(|segments| segments.join("/"))
}

fn place() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec!["a", "b", "c"]);
    prop::collection::vec(segment, 1..4).prop_map(|segments| segments.join("/"))
}

fn node() -> impl Strategy<Value = Node> {
    prop_oneof![
        Just(Node::File),
        path().prop_map(Node::Link),
        path().prop_map(|path| Node::Link(format!("../{path}"))),
        path().prop_map(|path| Node::Link(format!("OUTSIDE/{path}"))),
    ]
}

/// Places that are taken already, or lie below a file, are left out.
fn grow(tree: &Tree, nodes: &[(String, Node)]) {
    for outside in ["../a", "../b/a", "../out/a", "../out/b/c", "../out/c"] {
        tree.write(outside, "outside");
    }
    let outside = tree.dir.path().join("out");
    for (place, node) in nodes {
        let path = tree.path(place);
        let parent = path.parent().expect("a parent");
        let is_inside = |dir: &Path| {
            dir.canonicalize()
                .is_ok_and(|real| real.starts_with(tree.root().canonicalize().expect("the root")))
        };
        if fs::create_dir_all(parent).is_err() || !is_inside(parent) {
            continue;
        }
        let _ = match node {
            Node::File => fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(&path)
                .and_then(|mut file| io::Write::write_all(&mut file, b"inside")),
            Node::Link(target) => {
                let target = target.replace("OUTSIDE", &outside.to_string_lossy());
                std::os::unix::fs::symlink(target, &path)
            }
        };
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_tree_and_no_path_give_bytes_from_outside(
        nodes in prop::collection::vec((place(), node()), 1..12),
        paths in prop::collection::vec(path(), 1..24),
        symlinks in prop::sample::select(vec![Symlinks::Off, Symlinks::Inside]),
        list: bool,
    ) {
        let tree = Tree::new();
        grow(&tree, &nodes);
        let handler = tree.handler(|files| {
            files.symlinks = symlinks;
            files.index = vec!["a".into(), "b/c".into()];
            files.list = list;
        });
        let places = nodes.iter().map(|(place, _)| place);
        for path in paths.iter().chain(places) {
            let found = get(&format!("/{path}")).of(&handler);
            if let Found::File(answer) = &found {
                prop_assert_eq!(body(answer), b"inside", "{}", path);
            }
            prop_assert!(!matches!(found, Found::Failed(_)), "{found:?}");
        }
    }
}
