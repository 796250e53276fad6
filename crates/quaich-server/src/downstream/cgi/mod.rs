//! Requests that another web server passes on over uwsgi, FastCGI or SCGI: quaich in the place of an
//! application server. What is behind the head is as for requests over HTTP.

mod connection;
pub mod head;
pub mod inbound;
pub mod outbound;

/// What the web server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// uwsgi: one request, and the answer of HTTP to its end.
    Uwsgi,
    /// FastCGI 1.0: requests one after the other.
    FastCgi,
    /// SCGI: one request, and the answer of CGI to its end.
    Scgi,
}
