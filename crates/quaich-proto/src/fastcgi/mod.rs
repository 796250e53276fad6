//! FastCGI 1.0: records on a connection. Of its roles only RESPONDER, of its requests one at a time.
//!
//! A front server writes with [`begin`], [`params`] and [`record`] and reads with [`ResponseReader`];
//! an application server reads with [`RequestReader`] and writes with [`record`] and [`end`].

mod pairs;
mod record;
mod request;
mod response;

pub use pairs::{Pairs, encode_pair};
pub use record::{
    ABORT_REQUEST, BEGIN_REQUEST, BadRecord, END_REQUEST, GET_VALUES, GET_VALUES_RESULT, HEADER,
    MAX_CONTENT, PARAMS, ProtocolStatus, STDERR, STDIN, STDOUT, UNKNOWN_TYPE, abort, begin, end,
    params, record, record_header, unknown_type, values_result,
};
pub use request::{RequestReader, RequestStep};
pub use response::{ResponseReader, ResponseStep};
