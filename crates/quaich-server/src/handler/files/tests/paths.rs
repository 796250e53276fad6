//! Which file a path leads to.

use super::*;

fn assert_all(handler: &FileHandler, cases: &[(&str, &str)]) {
    for (path, expected) in cases {
        assert_eq!(
            summary(&get(path).of_cold(handler)),
            *expected,
            "{path}, cold"
        );
        assert_eq!(summary(&get(path).of(handler)), *expected, "{path}");
        assert_eq!(summary(&get(path).of(handler)), *expected, "{path}, again");
    }
}

#[test]
fn directories_answer_with_their_index_and_only_after_a_slash() {
    let tree = Tree::new();
    tree.write("index.html", "home");
    tree.write("a.txt", "a");
    tree.write("docs/index.html", "docs");
    tree.write("docs/über uns.txt", "about");
    tree.write("bare/x", "x");
    tree.write("odd/index.html/x", "x");
    assert_all(
        &tree.handler(|_| {}),
        &[
            ("/", "200 home"),
            ("/index.html", "200 home"),
            ("/a.txt", "200 a"),
            ("/a.txt/", "404"),
            ("/docs", "301 /docs/"),
            ("/docs/", "200 docs"),
            ("/docs/über uns.txt", "200 about"),
            ("/bare", "404"),
            ("/bare/", "404"),
            ("/bare/x", "200 x"),
            ("/odd/", "404"),
            ("/a.txt/b", "404"),
            ("/missing", "404"),
            ("/missing/", "404"),
        ],
    );
    let ask = Ask {
        query: "x=1",
        ..get("/docs")
    };
    assert_eq!(summary(&ask.of(&tree.handler(|_| {}))), "301 /docs/?x=1");
}

#[test]
fn the_try_list_is_tried_in_order() {
    let tree = Tree::new();
    tree.write("index.html", "shell");
    tree.write("about.html", "about");
    tree.write("docs/index.html", "docs");
    tree.write("both", "plain");
    tree.write("both.html", "html");
    let tries = ["{path}", "{path}.html", "{path}/", "/index.html"];
    let handler = tree.handler(|files| files.try_ = tries.map(String::from).to_vec());
    assert_all(
        &handler,
        &[
            ("/about", "200 about"),
            ("/both", "200 plain"),
            ("/docs", "301 /docs/"),
            ("/docs/", "200 docs"),
            ("/any/thing", "200 shell"),
            ("/any/thing/", "200 shell"),
        ],
    );
}

#[test]
fn hidden_names_do_not_exist_unless_asked_for() {
    let tree = Tree::new();
    tree.write(".env", "secret");
    tree.write(".git/config", "secret");
    tree.write("docs/.htaccess", "secret");
    tree.write("docs/page.html~", "secret");
    tree.write("docs/.well-known/x", "secret");
    tree.write(".well-known/acme", "token");
    tree.write(".well-known/.x", "secret");
    tree.write("a.b", "dots inside are fine");
    let visible = [
        ("/.well-known/acme", "200 token"),
        ("/a.b", "200 dots inside are fine"),
    ];
    let hidden = [
        "/.env",
        "/.git/config",
        "/docs/.htaccess",
        "/docs/page.html~",
        "/docs/.well-known/x",
        "/.well-known/.x",
    ];
    let (closed, open) = (
        tree.handler(|_| {}),
        tree.handler(|files| files.hidden = true),
    );
    assert_all(&closed, &visible);
    assert_all(&open, &visible);
    assert_all(&closed, &hidden.map(|path| (path, "404")));
    assert_all(&open, &hidden.map(|path| (path, "200 secret")));
}

#[test]
fn only_reading_methods_get_a_file() {
    let tree = Tree::new();
    tree.write("a", "a");
    tree.write("docs/index.html", "docs");
    let handler = tree.handler(|_| {});
    for method in [
        Method::Post,
        Method::Put,
        Method::Delete,
        Method::Options,
        Method::Other,
    ] {
        let ask = |path, has_fallback| Ask {
            method,
            has_fallback,
            ..get(path)
        };
        assert_eq!(summary(&ask("/a", false).of(&handler)), "405");
        assert_eq!(summary(&ask("/docs", false).of(&handler)), "405");
        assert_eq!(summary(&ask("/missing", false).of(&handler)), "404");
        assert_eq!(summary(&ask("/a", true).of(&handler)), "404");
    }
    assert_eq!(
        summary(
            &Ask {
                has_fallback: true,
                ..get("/a")
            }
            .of(&handler)
        ),
        "200 a"
    );
    assert_eq!(
        summary(
            &Ask {
                has_fallback: true,
                ..get("/x")
            }
            .of(&handler)
        ),
        "404"
    );
}

#[test]
fn a_listing_shows_what_may_be_asked_for() {
    let tree = Tree::new();
    tree.write("../outside", "secret");
    tree.write("sub/z.txt", "12345");
    tree.write("sub/<b>&.txt", "");
    tree.write("sub/deeper/x", "");
    tree.write("sub/.hidden", "");
    tree.write("sub/old~", "");
    tree.link("sub/inside-link", "z.txt");
    tree.link("sub/outside-link", "../../outside");
    let handler = tree.handler(|files| files.list = true);
    let Found::Listing(page) = get("/sub/").of(&handler) else {
        panic!("no listing")
    };
    let page = String::from_utf8(page).expect("UTF-8");
    let links: Vec<_> = page
        .split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    let expected = [
        "../",
        "./deeper/",
        "./%3Cb%3E%26.txt",
        "./inside-link",
        "./z.txt",
    ];
    assert_eq!(links, expected);
    assert!(page.contains("&lt;b&gt;&amp;.txt</a>") && !page.contains("<b>"));
    assert!(page.contains("5 B"));

    let Found::Listing(root) = get("/").of(&handler) else {
        panic!("no listing")
    };
    assert!(!String::from_utf8(root).expect("UTF-8").contains("../"));
    assert_eq!(summary(&get("/sub").of(&handler)), "301 /sub/");
    assert_eq!(
        summary(&get("/sub/").method(Method::Post).of(&handler)),
        "405"
    );
    assert_eq!(summary(&get("/none/").of(&handler)), "404");
    tree.write("sub/index.html", "index");
    assert_eq!(summary(&get("/sub/").of(&handler)), "200 index");
}

#[test]
fn every_file_of_a_large_tree_is_itself() {
    let tree = Tree::new();
    let names: Vec<_> = (0..10_000)
        .map(|at| format!("d{}/f{at}.txt", at % 100))
        .collect();
    names.iter().for_each(|name| drop(tree.write(name, name)));
    let limits = CacheLimits {
        entries: 1000,
        ..CacheLimits::default()
    };
    let cache = OpenFileCache::new(limits);
    let handler = tree.handler_with(Rc::clone(&cache), |files| files.precompressed = false);
    for name in names.iter().chain(names.iter().rev()) {
        let found = get(&format!("/{name}")).of(&handler);
        assert_eq!(body(&answer(found)), name.as_bytes());
        assert!(cache.len() <= limits.entries);
    }
    assert_eq!(cache.len(), limits.entries);
}
