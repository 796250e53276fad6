//! What is remembered, for how long, and how much of it.

use super::*;

/// A handler with its cache at hand.
fn cached(tree: &Tree, limits: CacheLimits) -> (FileHandler, Rc<OpenFileCache>) {
    let cache = OpenFileCache::new(limits);
    (tree.handler_with(Rc::clone(&cache), |_| {}), cache)
}

#[test]
fn a_change_shows_after_a_second_even_with_the_old_time_and_length() {
    let tree = Tree::new();
    let path = tree.write("page", "old");
    let time = fs::metadata(&path)
        .and_then(|facts| facts.modified())
        .expect("its time");
    let (handler, cache) = cached(&tree, CacheLimits::default());
    let now = later();
    assert_eq!(summary(&get("/page").at(now).of(&handler)), "200 old");
    assert_eq!(cache.len(), 1);
    fs::write(&path, "new").expect("written");
    let file = fs::File::options().write(true).open(&path).expect("a file");
    file.set_modified(time).expect("its time");
    assert_eq!(summary(&get("/page").at(now).of(&handler)), "200 old");
    assert_eq!(summary(&get("/page").at(now + 1).of(&handler)), "200 new");
}

#[test]
fn an_unchanged_file_keeps_its_content_and_a_removed_one_goes() {
    let tree = Tree::new();
    let path = tree.write("page", "page");
    tree.write("page.gz", "zip");
    let (handler, cache) = cached(&tree, CacheLimits::default());
    let now = later();
    let accept: &[_] = &[("Accept-Encoding", "gzip")];
    let content = |now| {
        let got = answer(get("/page").fields(accept).at(now).of(&handler));
        let Some(Piece::Memory(bytes)) = got.piece(0) else {
            panic!("not in memory")
        };
        (bytes.as_ptr(), bytes.to_vec())
    };
    let first = content(now);
    assert_eq!(first.1, b"zip");
    assert_eq!(content(now + 1), first);
    assert_eq!(content(now + 30), first);
    fs::remove_file(path).expect("removed");
    assert_eq!(summary(&get("/page").at(now + 30).of(&handler)), "200 page");
    assert_eq!(summary(&get("/page").at(now + 31).of(&handler)), "404");
    assert!(cache.is_empty());
}

#[test]
fn a_file_changed_a_moment_ago_is_not_remembered() {
    let tree = Tree::new();
    let path = tree.write("page", "one");
    let (handler, cache) = cached(&tree, CacheLimits::default());
    let now = later() - 10;
    assert_eq!(summary(&get("/page").at(now).of(&handler)), "200 one");
    fs::write(&path, "two").expect("written");
    assert_eq!(summary(&get("/page").at(now).of(&handler)), "200 two");
    assert!(cache.is_empty());
}

#[test]
fn a_clock_that_goes_back_makes_the_cache_ask_again() {
    let tree = Tree::new();
    let path = tree.write("page", "old");
    let (handler, _) = cached(&tree, CacheLimits::default());
    let now = later();
    assert_eq!(summary(&get("/page").at(now).of(&handler)), "200 old");
    fs::write(&path, "new").expect("written");
    assert_eq!(summary(&get("/page").at(now - 5).of(&handler)), "200 new");
}

#[test]
fn an_answer_outlives_its_place_in_the_cache() {
    let tree = Tree::new();
    let path = tree.write("page", vec![b'x'; 100_000]);
    let (handler, cache) = cached(&tree, CacheLimits::default());
    let got = answer(get("/page").of(&handler));
    fs::remove_file(path).expect("removed");
    cache.clear();
    drop(handler);
    assert_eq!(body(&got), vec![b'x'; 100_000]);
}

#[test]
fn the_cache_stays_within_its_limits_and_keeps_what_is_used() {
    let tree = Tree::new();
    let big = vec![b'x'; 70_000];
    for at in 0..40 {
        tree.write(&format!("small{at}"), vec![b'x'; 1000]);
        tree.write(&format!("big{at}"), &big);
    }
    let now = later();
    let limits = CacheLimits {
        entries: 10,
        descriptors: 4,
        bytes: 1 << 20,
    };
    let (handler, cache) = cached(&tree, limits);
    let ask = |name: String| answer(get(&format!("/{name}")).at(now).of(&handler));
    let address = || match ask("small0".into()).piece(0) {
        Some(Piece::Memory(bytes)) => bytes.as_ptr(),
        other => panic!("not in memory: {other:?}"),
    };
    let first = address();
    for at in 1..40 {
        ask(format!("small{at}"));
        assert!(cache.len() <= 10);
        assert_eq!(address(), first, "the one in use was dropped");
    }
    (0..40).for_each(|at| drop(ask(format!("big{at}"))));
    assert!(cache.held_descriptors() <= 4);

    let (handler, cache) = cached(
        &tree,
        CacheLimits {
            bytes: 5000,
            ..CacheLimits::default()
        },
    );
    for at in 0..40 {
        get(&format!("/small{at}")).at(now).of(&handler);
        assert!(cache.held_bytes() <= 5000 && !cache.is_empty());
    }
}

#[test]
fn entries_leave_with_their_handler_and_when_nobody_asks() {
    let tree = Tree::new();
    tree.write("a", "a");
    tree.write("b", "b");
    let cache = OpenFileCache::new(CacheLimits::default());
    let one = tree.handler_with(Rc::clone(&cache), |_| {});
    let two = tree.handler_with(Rc::clone(&cache), |_| {});
    let now = later();
    get("/a").at(now).of(&one);
    get("/a").at(now).of(&two);
    get("/b").at(now + 40).of(&two);
    assert_eq!(cache.len(), 3);
    drop(one);
    assert_eq!(cache.len(), 2);
    cache.sweep(now + 70);
    assert_eq!(cache.len(), 1);
    assert_eq!(summary(&get("/b").at(now + 40).of(&two)), "200 b");
}
