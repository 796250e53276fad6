//! Python apps for the tests: one app module in a temporary folder, served by quaich.

use quaich_testkit::{Quaich, TempSite, python};

/// Serves `source` as the app at `/`, one worker with one thread.
#[track_caller]
pub(crate) fn serve(source: &str) -> Quaich {
    serve_with(source, "workers = 1\nthreads = 1")
}

/// Serves `source` as the app at `/`; `keys` are lines of its `[app.main]` table.
#[track_caller]
pub(crate) fn serve_with(source: &str, keys: &str) -> Quaich {
    serve_site(TempSite::new(), source, keys)
}

/// The same in a folder that has been made already.
#[track_caller]
pub(crate) fn serve_site(site: TempSite, source: &str, keys: &str) -> Quaich {
    site.write("app.py", source);
    Quaich::serve(site, &config(keys, ""))
}

/// A configuration whose only app is the module `app` at `/`; `server` are lines of `[server]`.
pub(crate) fn config(keys: &str, server: &str) -> String {
    format!("{server}\n{}\n[site.main]\napp = \"main\"\n", table(keys))
}

/// The `[app.main]` table of the module `app`.
pub(crate) fn table(keys: &str) -> String {
    format!(
        "[app.main]\nmodule = \"app\"\npython = \"{}\"\n{keys}\n",
        python().display()
    )
}

/// An app that answers with its environ as JSON, values that are no text as their `repr`.
pub(crate) const ENVIRON: &str = r#"
import json

def application(environ, start_response):
    kept = {k: v if isinstance(v, (str, bool, int)) else repr(v) for k, v in environ.items()}
    kept["type(environ)"] = type(environ).__name__
    body = json.dumps(kept).encode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [body]
"#;

/// An app that opens the FIFO `gate` for `/slow`, so that the test decides when it goes on, and
/// answers everything else at once.
pub(crate) const GATED: &str = r#"
import os

def application(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        print("waiting at the gate", flush=True)
        with open("gate", "rb") as gate:
            gate.read()
    body = b"pid %d" % os.getpid()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]
"#;
