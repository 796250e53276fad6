//! `FileHandler` on real directory trees.

mod answers;
mod caching;
mod confinement;
mod paths;

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use quaich_config::model::Symlinks;
use quaich_proto::headers::Headers;

use super::*;

/// A directory `root` with a place outside beside it.
struct Tree {
    dir: tempfile::TempDir,
}

impl Tree {
    fn new() -> Self {
        let tree = Self {
            dir: tempfile::tempdir().expect("a temporary directory"),
        };
        fs::create_dir(tree.root()).expect("the root");
        tree
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// Writes a file below the root; `../x` lies outside.
    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("its directory");
        fs::write(&path, content).expect("a file");
        path
    }

    fn link(&self, name: &str, target: impl AsRef<Path>) {
        std::os::unix::fs::symlink(target, self.path(name)).expect("a link");
    }

    fn handler(&self, change: impl FnOnce(&mut Files)) -> FileHandler {
        self.handler_with(OpenFileCache::new(CacheLimits::default()), change)
    }

    fn handler_with(
        &self,
        cache: Rc<OpenFileCache>,
        change: impl FnOnce(&mut Files),
    ) -> FileHandler {
        let mut settings = Files {
            root: self.root(),
            index: vec!["index.html".into()],
            try_: vec!["{path}".into()],
            expires: None,
            list: false,
            precompressed: true,
            hidden: false,
            symlinks: Symlinks::Inside,
        };
        change(&mut settings);
        let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY;
        let root = rustix::fs::open(&settings.root, flags, rustix::fs::Mode::empty());
        FileHandler::new(&settings, root.expect("the root"), cache)
    }
}

/// A moment at which everything written so far counts as settled.
fn later() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock after 1970")
        .as_secs()
        + 10
}

struct Ask<'a> {
    method: Method,
    path: &'a str,
    query: &'a str,
    fields: &'a [(&'a str, &'a str)],
    now: u64,
    has_fallback: bool,
}

fn get(path: &str) -> Ask<'_> {
    Ask {
        method: Method::Get,
        path,
        query: "",
        fields: &[],
        now: later(),
        has_fallback: false,
    }
}

impl<'a> Ask<'a> {
    fn fields(self, fields: &'a [(&'a str, &'a str)]) -> Self {
        Self { fields, ..self }
    }

    fn method(self, method: Method) -> Self {
        Self { method, ..self }
    }

    fn at(self, now: u64) -> Self {
        Self { now, ..self }
    }

    /// Asks as the data path does.
    fn of(&self, handler: &FileHandler) -> Found {
        self.with(|request| block_on(handler.find(request)))
    }

    /// Asks by way of the blocking pool, as if the kernel's caches were cold.
    fn of_cold(&self, handler: &FileHandler) -> Found {
        self.with(|request| block_on(handler.find_waiting(request)))
    }

    fn with<T>(&self, ask: impl FnOnce(&FileRequest<'_>) -> T) -> T {
        let mut headers = Headers::new();
        for (name, value) in self.fields {
            headers
                .push(name.as_bytes(), value.as_bytes())
                .expect("a valid field");
        }
        ask(&FileRequest {
            method: self.method,
            path: self.path.as_bytes(),
            raw_path: self.path.as_bytes(),
            query: self.query.as_bytes(),
            headers: &headers,
            now: self.now,
            has_fallback: self.has_fallback,
        })
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(future)
}

/// A `Found` in few words, for tables.
fn summary(found: &Found) -> String {
    match found {
        Found::NotFound => "404".into(),
        Found::MethodNotAllowed => "405".into(),
        Found::Forbidden => "403".into(),
        Found::Redirect { location } => format!("301 {}", String::from_utf8_lossy(location)),
        Found::Listing(_) => "listing".into(),
        Found::Failed(error) => format!("500 {error}"),
        Found::File(answer) => {
            format!(
                "{} {}",
                answer.status(),
                String::from_utf8_lossy(&body(answer))
            )
        }
    }
}

fn answer(found: Found) -> FileAnswer {
    match found {
        Found::File(answer) => answer,
        other => panic!("not a file: {other:?}"),
    }
}

fn body(answer: &FileAnswer) -> Vec<u8> {
    let mut body = Vec::new();
    for index in 0.. {
        match answer.piece(index) {
            None => break,
            Some(Piece::Memory(bytes)) => body.extend_from_slice(bytes),
            Some(Piece::File { fd, offset, len }) => {
                let file = fs::File::from(fd.try_clone_to_owned().expect("a descriptor"));
                let start = body.len();
                body.resize(start + usize::try_from(len).expect("a test file"), 0);
                file.read_exact_at(&mut body[start..], offset)
                    .expect("its bytes");
            }
        }
    }
    assert_eq!(body.len() as u64, answer.body_len());
    let told = answer.content_length().map(|length| length.to_string());
    assert_eq!(field(answer, "Content-Length"), told);
    body
}

fn field(answer: &FileAnswer, name: &str) -> Option<String> {
    let head = std::str::from_utf8(answer.head()).expect("header fields are ASCII");
    assert!(head.is_empty() || head.ends_with("\r\n"), "{head:?}");
    let mut values = head.split_terminator("\r\n").filter_map(|line| {
        let (field, value) = line.split_once(": ").expect("a field line");
        field.eq_ignore_ascii_case(name).then(|| value.to_owned())
    });
    let value = values.next();
    assert!(values.next().is_none(), "{name} twice in {head:?}");
    value
}
