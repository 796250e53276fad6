//! Why a request is refused: status, a word for logs and metrics, a sentence for people.

macro_rules! reasons {
    ($($reason:ident = $status:literal $label:literal $explain:literal,)*) => {
        /// What is wrong with a request.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum RejectReason {
            $(#[doc = $explain] $reason,)*
        }

        impl RejectReason {
            /// The status of the answer.
            pub fn status(self) -> u16 {
                match self { $(Self::$reason => $status,)* }
            }

            /// A stable word in snake_case.
            pub fn label(self) -> &'static str {
                match self { $(Self::$reason => $label,)* }
            }

            /// A sentence for people.
            pub fn explain(self) -> &'static str {
                match self { $(Self::$reason => $explain,)* }
            }
        }
    };
}

reasons! {
    BadLineEnd = 400 "bad_line_end" "a line does not end with CR LF",
    BadRequestLine = 400 "bad_request_line" "the request line is malformed",
    BadMethod = 400 "bad_method" "the method is no token",
    MethodCase = 400 "method_case" "the method has letters that are not capitals",
    BadTarget = 400 "bad_target" "the request target is malformed",
    BadPath = 400 "bad_path" "the path has no safe normal form",
    ConnectRefused = 405 "connect_refused" "CONNECT is not supported",
    BadScheme = 400 "bad_scheme" "the scheme is neither http nor https",
    UnknownProtocol = 501 "unknown_protocol" "the protocol asked for with CONNECT is not supported",
    UriTooLong = 414 "uri_too_long" "the request target is too long",
    BadVersion = 400 "bad_version" "the protocol version is malformed",
    UnsupportedVersion = 505 "unsupported_version" "only HTTP/1.0 and HTTP/1.1 are spoken here",
    BadFieldName = 400 "bad_field_name" "a header field name is malformed",
    BadFieldValue = 400 "bad_field_value" "a header field value holds a control byte",
    LineFolding = 400 "line_folding" "a header field is folded over several lines",
    FieldTooLarge = 431 "field_too_large" "a header field is too long",
    HeaderTooLarge = 431 "header_too_large" "the header fields together are too long",
    TooManyFields = 431 "too_many_fields" "there are too many header fields",
    NoHost = 400 "no_host" "HTTP/1.1 needs a Host field",
    ManyHosts = 400 "many_hosts" "there is more than one Host field",
    BadHost = 400 "bad_host" "the Host field is malformed",
    HostDiffers = 400 "host_differs" "the Host field differs from the request target",
    BadContentLength = 400 "bad_content_length" "the Content-Length is malformed",
    ManyContentLengths = 400 "many_content_lengths" "there is more than one Content-Length",
    LengthAndCoding = 400 "length_and_coding" "there are both Content-Length and Transfer-Encoding",
    BadTransferEncoding = 400 "bad_transfer_encoding" "the Transfer-Encoding is malformed",
    UnknownCoding = 501 "unknown_coding" "the transfer coding is not supported",
    CodingInOldVersion = 400 "coding_in_old_version" "HTTP/1.0 has no Transfer-Encoding",
    UnknownExpectation = 417 "unknown_expectation" "the expectation is not known",
    BadConnection = 400 "bad_connection" "Connection names a field that it may not name",
    UpgradeWithBody = 400 "upgrade_with_body" "a request to switch protocols has a body",
    BadChunk = 400 "bad_chunk" "the chunked body is malformed",
    ChunkTooLarge = 400 "chunk_too_large" "a chunk size or its extension is too long",
    TrailerTooLarge = 431 "trailer_too_large" "the trailer fields are too many or too long",
    BadTrailer = 400 "bad_trailer" "a trailer field is malformed",
}

/// A refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Of the answer.
    pub status: u16,
    /// What is wrong.
    pub reason: RejectReason,
}

impl From<RejectReason> for Reject {
    fn from(reason: RejectReason) -> Self {
        Self {
            status: reason.status(),
            reason,
        }
    }
}
