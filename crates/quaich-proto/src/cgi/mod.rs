//! What uwsgi, FastCGI and SCGI have from CGI (RFC 3875): a request is a list of variables, a
//! response begins with lines of a header. Used by those three codecs and by whoever fills or reads
//! the list.

mod response;
mod variables;

pub use response::{parse_response, status};
pub use variables::{Limits, TooLarge, Variables, field_name, is_field};
