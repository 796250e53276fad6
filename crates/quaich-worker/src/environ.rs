//! Builds the WSGI environ: a copied template plus what one request brings (PEP 3333, "environ
//! Variables").
//!
//! Called once per request by `wsgi::call`. Every value is a `str` with one character per byte
//! (latin-1); nothing here trusts a field name that came over the wire: it becomes `HTTP_…` or it
//! is left out.

use std::cell::RefCell;
use std::collections::HashMap;

use quaich_proto::headers::HeaderId;
use quaich_proto::worker::message::{Body, RequestMeta, RequestView};

use crate::python::{PyResult, Ref};

/// `SERVER_SOFTWARE`.
const SOFTWARE: &str = concat!("quaich/", env!("CARGO_PKG_VERSION"));

/// Names of fields outside the table that are remembered with their key; more are built anew.
const REMEMBERED_NAMES: usize = 256;

/// Longest field name that becomes an environ key.
const MAX_NAME: usize = 256;

/// Values that repeat from request to request and hold no secret are kept up to this length.
const REMEMBERED_VALUE: usize = 256;

/// What is the same in every environ of this process.
pub(crate) struct Constants {
    /// The `wsgi.errors` stream.
    pub(crate) errors: Ref,
    /// The `wsgi.file_wrapper` class.
    pub(crate) file_wrapper: Ref,
    /// More than one thread runs the application.
    pub(crate) multithread: bool,
    /// More than one process runs the application.
    pub(crate) multiprocess: bool,
}

/// Keys and values made once; one for each thread that serves.
pub(crate) struct Environ {
    template: Ref,
    keys: Keys,
    methods: Vec<(&'static [u8], Ref)>,
    https: [Ref; 2],
    /// Protocols that a request may have come by, other than HTTP/1.1.
    http_1_0: Ref,
    http_2: Ref,
    names: RefCell<HashMap<Box<[u8]>, Ref>>,
    server_name: Memo,
    server_port: Memo,
    known: Vec<Option<Known>>,
}

/// A well-known request field.
struct Known {
    key: Ref,
    memo: Option<Memo>,
}

macro_rules! keys {
    ($($field:ident = $name:literal,)*) => {
        struct Keys { $($field: Ref,)* }

        impl Keys {
            fn new() -> PyResult<Self> {
                Ok(Self { $($field: Ref::interned($name)?,)* })
            }
        }
    };
}

keys! {
    method = "REQUEST_METHOD",
    script_name = "SCRIPT_NAME",
    path_info = "PATH_INFO",
    query = "QUERY_STRING",
    request_uri = "REQUEST_URI",
    raw_uri = "RAW_URI",
    protocol = "SERVER_PROTOCOL",
    server_name = "SERVER_NAME",
    server_port = "SERVER_PORT",
    remote_addr = "REMOTE_ADDR",
    remote_port = "REMOTE_PORT",
    remote_user = "REMOTE_USER",
    content_length = "CONTENT_LENGTH",
    https = "HTTPS",
    url_scheme = "wsgi.url_scheme",
    input = "wsgi.input",
    request_id = "quaich.request_id",
}

/// The last value seen, as bytes and as a str.
struct Memo(RefCell<Option<(Vec<u8>, Ref)>>);

impl Memo {
    fn new() -> Self {
        Self(RefCell::new(None))
    }

    fn str(&self, bytes: &[u8]) -> PyResult<Ref> {
        let mut last = self.0.borrow_mut();
        if let Some((seen, value)) = &*last
            && seen == bytes
        {
            return Ok(value.clone());
        }
        let value = Ref::latin1(bytes)?;
        if bytes.len() <= REMEMBERED_VALUE {
            *last = Some((bytes.to_vec(), value.clone()));
        }
        Ok(value)
    }
}

impl Environ {
    /// Builds template, keys and caches.
    pub(crate) fn new(constants: &Constants) -> PyResult<Self> {
        let methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"];
        let methods = methods.map(|name| Ok((name.as_bytes(), Ref::interned(name)?)));
        Ok(Self {
            template: template(constants)?,
            keys: Keys::new()?,
            methods: methods.into_iter().collect::<PyResult<_>>()?,
            https: [Ref::interned("https")?, Ref::interned("on")?],
            http_1_0: Ref::interned("HTTP/1.0")?,
            http_2: Ref::interned("HTTP/2.0")?,
            names: RefCell::new(HashMap::new()),
            server_name: Memo::new(),
            server_port: Memo::new(),
            known: known_fields()?,
        })
    }

    /// The environ of one request; a plain dict that the application may change as it likes.
    pub(crate) fn build(&self, request: &RequestView<'_>, input: &Ref) -> PyResult<Ref> {
        let environ = self.template.copied()?;
        self.put_head(&environ, &request.meta)?;
        environ.set(&self.keys.input, input)?;
        let mut seen = 0_u128;
        for field in request.fields() {
            self.put_field(&environ, &mut seen, field)?;
        }
        Ok(environ)
    }

    fn put_head(&self, environ: &Ref, request: &RequestMeta<'_>) -> PyResult<()> {
        let keys = &self.keys;
        environ.set(&keys.method, &self.method(request.method)?)?;
        environ.set(&keys.path_info, &Ref::latin1(request.path_info)?)?;
        let target = Ref::latin1(request.raw_target)?;
        environ.set(&keys.request_uri, &target)?;
        environ.set(&keys.raw_uri, &target)?;
        environ.set(
            &keys.server_name,
            &self.server_name.str(request.server_name)?,
        )?;
        let mut digits = [0; 20];
        let port = decimal(&mut digits, request.server_port.into());
        environ.set(&keys.server_port, &self.server_port.str(port)?)?;
        if !request.remote_addr.is_empty() {
            environ.set(&keys.remote_addr, &Ref::latin1(request.remote_addr)?)?;
            let port = decimal(&mut digits, request.remote_port.into());
            environ.set(&keys.remote_port, &Ref::latin1(port)?)?;
        }
        // The template has these as they mostly are.
        for (key, value) in [
            (&keys.script_name, request.script_name),
            (&keys.query, request.query),
            (&keys.remote_user, request.remote_user),
            (&keys.request_id, request.request_id),
        ] {
            if !value.is_empty() {
                environ.set(key, &Ref::latin1(value)?)?;
            }
        }
        match request.version {
            10 => environ.set(&keys.protocol, &self.http_1_0)?,
            20 => environ.set(&keys.protocol, &self.http_2)?,
            _ => {}
        }
        if request.scheme_https {
            environ.set(&keys.url_scheme, &self.https[0])?;
            environ.set(&keys.https, &self.https[1])?;
        }
        if let Some(length) = body_length(request) {
            let digits = decimal(&mut digits, length);
            environ.set(&keys.content_length, &Ref::latin1(digits)?)?;
        }
        Ok(())
    }

    fn method(&self, name: &[u8]) -> PyResult<Ref> {
        match self.methods.iter().find(|(known, _)| *known == name) {
            Some((_, value)) => Ok(value.clone()),
            None => Ref::latin1(name),
        }
    }

    fn put_field(
        &self,
        environ: &Ref,
        seen: &mut u128,
        (id, name, value): (u8, &[u8], &[u8]),
    ) -> PyResult<()> {
        if id != 0 {
            let Some(Some(known)) = self.known.get(usize::from(id)) else {
                return Ok(());
            };
            let bit = 1_u128.checked_shl(id.into()).unwrap_or(0);
            let repeated = *seen & bit != 0 || bit == 0;
            *seen |= bit;
            if !repeated {
                let value = match &known.memo {
                    Some(memo) => memo.str(value)?,
                    None => Ref::latin1(value)?,
                };
                return environ.set(&known.key, &value);
            }
            return put_joined(environ, &known.key, value);
        }
        match self.key_of(name)? {
            // A variable of the front is not a field: it takes the place of what is there.
            Some(key) if name.starts_with(b"=") => environ.set(&key, &Ref::latin1(value)?),
            Some(key) => put_joined(environ, &key, value),
            None => Ok(()),
        }
    }

    /// The key of a field that is not in the table; none for a name that must not get in.
    fn key_of(&self, name: &[u8]) -> PyResult<Option<Ref>> {
        if let Some(key) = self.names.borrow().get(name) {
            return Ok(Some(key.clone()));
        }
        let Some(text) = environ_name(name) else {
            return Ok(None);
        };
        let key = Ref::interned(&text)?;
        let mut names = self.names.borrow_mut();
        if names.len() < REMEMBERED_NAMES {
            names.insert(name.into(), key.clone());
        }
        Ok(Some(key))
    }
}

/// A chunked body has been read to its end, so its length is known too: applications that trust
/// CONTENT_LENGTH alone (Django) would see no body without it.
fn body_length(request: &RequestMeta<'_>) -> Option<u64> {
    request.content_length.or(match request.body {
        Body::None => None,
        Body::Inline(bytes) => Some(bytes.len() as u64),
        Body::File { len } => Some(len),
    })
}

fn template(constants: &Constants) -> PyResult<Ref> {
    let environ = Ref::dict()?;
    let version = Ref::pair(1, 0)?;
    let put = |name: &str, value: &Ref| environ.set(&Ref::interned(name)?, value);
    put("wsgi.version", &version)?;
    put("wsgi.errors", &constants.errors)?;
    put("wsgi.file_wrapper", &constants.file_wrapper)?;
    put("wsgi.multithread", &Ref::bool(constants.multithread))?;
    put("wsgi.multiprocess", &Ref::bool(constants.multiprocess))?;
    put("wsgi.run_once", &Ref::bool(false))?;
    put("wsgi.input_terminated", &Ref::bool(true))?;
    put("wsgi.url_scheme", &Ref::interned("http")?)?;
    put("SERVER_SOFTWARE", &Ref::interned(SOFTWARE)?)?;
    put("SERVER_PROTOCOL", &Ref::interned("HTTP/1.1")?)?;
    put("SCRIPT_NAME", &Ref::interned("")?)?;
    let empty = Ref::interned("")?;
    put("QUERY_STRING", &empty)?;
    // `put_head` and `build` set these in every environ.
    for name in [
        "REQUEST_METHOD",
        "PATH_INFO",
        "REQUEST_URI",
        "RAW_URI",
        "wsgi.input",
    ] {
        put(name, &empty)?;
    }
    put("SERVER_NAME", &empty)?;
    put("SERVER_PORT", &empty)?;
    make_room(&environ)?;
    Ok(environ)
}

/// Makes the dict's table so large that its copies need not grow for an ordinary request. A copy
/// keeps the size as long as most of the entries are in use.
fn make_room(environ: &Ref) -> PyResult<()> {
    let fillers: Vec<Ref> = (0..6)
        .map(|number| Ref::str(&format!("filler {number}")))
        .collect::<PyResult<_>>()?;
    fillers
        .iter()
        .try_for_each(|filler| environ.set(filler, filler))?;
    fillers.iter().try_for_each(|filler| environ.remove(filler))
}

/// Adds a field; a repeated one is joined to what is there (RFC 9110 section 5.3; Cookie: RFC 9113
/// section 8.2.3).
fn put_joined(environ: &Ref, key: &Ref, value: &[u8]) -> PyResult<()> {
    let Some(before) = environ.get(key)? else {
        return environ.set(key, &Ref::latin1(value)?);
    };
    let separator = if key.text()? == "HTTP_COOKIE" {
        "; "
    } else {
        ","
    };
    let mut joined: String = before.text()?.to_owned();
    joined.push_str(separator);
    joined.extend(value.iter().map(|&byte| char::from(byte)));
    environ.set(key, &Ref::str(&joined)?)
}

/// `X-Foo` → `HTTP_X_FOO`, `=FOO` → `FOO`. None for names with `_` (they would collide with their twin with `-`),
/// for `Proxy` (it would set a proxy for CGI-minded libraries), for framing (it is undone, and
/// the length comes from the head) and for what is no field name.
fn environ_name(name: &[u8]) -> Option<String> {
    const LEFT_OUT: [&[u8]; 3] = [b"proxy", b"transfer-encoding", b"content-length"];
    if name.is_empty() || name.len() > MAX_NAME {
        return None;
    }
    if let [b'=', variable @ ..] = name {
        // From the front itself: no field name has this character.
        return std::str::from_utf8(variable).ok().map(str::to_owned);
    }
    if LEFT_OUT
        .iter()
        .any(|left_out| name.eq_ignore_ascii_case(left_out))
    {
        return None;
    }
    if name.eq_ignore_ascii_case(b"content-type") {
        return Some("CONTENT_TYPE".to_owned());
    }
    let mut key = String::with_capacity(5 + name.len());
    key.push_str("HTTP_");
    for &byte in name {
        key.push(match byte {
            b'-' => '_',
            b'_' | 0..=b' ' | 0x7f.. => return None,
            other => char::from(other.to_ascii_uppercase()),
        });
    }
    Some(key)
}

fn known_fields() -> PyResult<Vec<Option<Known>>> {
    (0..=u8::MAX).map(known_field).collect()
}

fn known_field(id: u8) -> PyResult<Option<Known>> {
    let name = HeaderId::from_number(id).as_str();
    let Some(key) = environ_name(name.as_bytes()) else {
        return Ok(None);
    };
    let repeats = [
        "host",
        "user-agent",
        "accept",
        "accept-encoding",
        "accept-language",
    ];
    let memo = repeats.contains(&name).then(Memo::new);
    Ok(Some(Known {
        key: Ref::interned(&key)?,
        memo,
    }))
}

/// The decimal digits of `value`, written into the end of `digits`.
fn decimal(digits: &mut [u8; 20], mut value: u64) -> &[u8] {
    let mut start = digits.len();
    for place in digits.iter_mut().rev() {
        *place = b'0' + (value % 10) as u8;
        start -= 1;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    digits.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_name_becomes_an_environ_key() {
        assert_eq!(environ_name(b"X-Foo").as_deref(), Some("HTTP_X_FOO"));
        assert_eq!(
            environ_name(b"Content-Type").as_deref(),
            Some("CONTENT_TYPE")
        );
        assert_eq!(
            environ_name(b"=SSL_CLIENT_VERIFY").as_deref(),
            Some("SSL_CLIENT_VERIFY")
        );
        assert_eq!(
            environ_name(b"script-name").as_deref(),
            Some("HTTP_SCRIPT_NAME")
        );
    }

    #[test]
    fn a_name_that_could_deceive_the_application_is_left_out() {
        for name in [
            "X_Forwarded_For",
            "Proxy",
            "Transfer-Encoding",
            "Content-Length",
            "",
            "a b",
            "naïve",
        ] {
            assert_eq!(environ_name(name.as_bytes()), None, "{name}");
        }
    }

    #[test]
    fn numbers_are_written_in_decimal() {
        let mut digits = [0; 20];
        for value in [0, 7, 10, 65_535, u64::MAX] {
            assert_eq!(decimal(&mut digits, value), value.to_string().as_bytes());
        }
    }
}
