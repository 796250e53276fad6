//! The price of a request for a cached file: no allocation. Alone in its program, since it counts
//! through the global allocator.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::time::{SystemTime, UNIX_EPOCH};

use quaich_config::model::{Files, Symlinks};
use quaich_proto::headers::Headers;
use quaich_proto::method::Method;
use quaich_server::handler::files::{
    CacheLimits, FileHandler, FileRequest, Found, OpenFileCache, Piece,
};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to `System` unchanged; counting touches a constant-initialised
// thread-local, which does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn handler(root: &std::path::Path) -> FileHandler {
    let settings = Files {
        root: root.to_path_buf(),
        index: vec!["index.html".into()],
        try_: vec!["{path}".into()],
        expires: None,
        list: false,
        precompressed: true,
        hidden: false,
        symlinks: Symlinks::Inside,
    };
    let dir = std::fs::File::open(root).expect("the root");
    FileHandler::new(
        &settings,
        dir.into(),
        OpenFileCache::new(CacheLimits::default()),
    )
}

#[test]
fn a_cached_file_is_answered_without_an_allocation() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("small.css"), vec![b'x'; 1024]).expect("a file");
    std::fs::write(dir.path().join("small.css.br"), vec![b'x'; 512]).expect("a file");
    std::fs::write(dir.path().join("large.bin"), vec![b'x'; 100_000]).expect("a file");
    let handler = handler(dir.path());
    let mut headers = Headers::new();
    for (name, value) in [("host", "example.org"), ("accept-encoding", "gzip, br")] {
        headers
            .push(name.as_bytes(), value.as_bytes())
            .expect("a valid field");
    }
    let clock = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock after 1970");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    for method in [Method::Get, Method::Head] {
        for path in ["/small.css", "/large.bin"] {
            let request = FileRequest {
                method,
                path: path.as_bytes(),
                raw_path: path.as_bytes(),
                query: b"",
                headers: &headers,
                now: clock.as_secs() + 10,
                has_fallback: false,
            };
            drop(runtime.block_on(handler.find(&request)));
            let before = ALLOCATIONS.get();
            for _ in 0..100 {
                let Some(Found::File(answer)) = handler.find_ready(&request) else {
                    panic!("{path} is not ready")
                };
                black_box((answer.status(), answer.head(), answer.body_len()));
                match (method, answer.piece(0)) {
                    (Method::Get, Some(Piece::Memory(bytes))) => assert_eq!(bytes.len(), 512),
                    (Method::Get, Some(Piece::File { len, .. })) => assert_eq!(len, 100_000),
                    (Method::Head, None) => {}
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(ALLOCATIONS.get() - before, 0, "{path}");
        }
    }
}
