//! What an error page says to people.
//!
//! Called by `error_page`. Must not speak of things inside the server.

/// What is shown to people; needs no escaping in HTML and in JSON (a test checks).
pub(super) struct Wording {
    /// Two or three words.
    pub(super) title: &'static str,
    /// One sentence or two.
    pub(super) text: &'static str,
}

/// Title and sentence of each status that has its own, in ascending order.
const WORDINGS: &[(u16, &str, &str)] = &[
    (
        400,
        "Bad request",
        "The server could not understand this request.",
    ),
    (
        401,
        "Sign-in required",
        "You need to sign in to see this page.",
    ),
    (403, "Forbidden", "You are not allowed to see this page."),
    (404, "Not found", "There is no page at this address."),
    (
        405,
        "Method not allowed",
        "This address does not take requests of this kind.",
    ),
    (
        406,
        "Not acceptable",
        "This page does not exist in a form that you accept.",
    ),
    (
        408,
        "Request timeout",
        "The request took too long to arrive. Please try again.",
    ),
    (
        410,
        "Gone",
        "This page was here once and will not come back.",
    ),
    (
        411,
        "Length required",
        "The request must say how long it is.",
    ),
    (
        412,
        "Precondition failed",
        "The page has changed since you last saw it.",
    ),
    (
        413,
        "Too large",
        "The request is larger than this server accepts.",
    ),
    (
        414,
        "Address too long",
        "The address is longer than this server accepts.",
    ),
    (
        415,
        "Unsupported media type",
        "The server does not take data of this type.",
    ),
    (
        416,
        "Range not satisfiable",
        "The file does not have the part that was asked for.",
    ),
    (
        417,
        "Expectation failed",
        "The server cannot do what this request expects.",
    ),
    (
        421,
        "Misdirected request",
        "This server does not answer for this host.",
    ),
    (
        426,
        "Upgrade required",
        "This address speaks another protocol.",
    ),
    (
        429,
        "Too many requests",
        "Please wait a moment, then try again.",
    ),
    (
        431,
        "Headers too large",
        "The request's header fields are too large.",
    ),
    (
        451,
        "Unavailable for legal reasons",
        "This page may not be shown here.",
    ),
    (
        501,
        "Not implemented",
        "The server does not support this kind of request.",
    ),
    (
        502,
        "Bad gateway",
        "The application gave no usable answer. Please try again.",
    ),
    (
        503,
        "Service unavailable",
        "The site cannot answer right now. Please try again in a moment.",
    ),
    (
        504,
        "Gateway timeout",
        "The application took too long to answer.",
    ),
    (
        505,
        "Version not supported",
        "The server does not speak this version of HTTP.",
    ),
    (
        507,
        "Insufficient storage",
        "The server has no room left for this request.",
    ),
    (
        508,
        "Loop detected",
        "The request came back to where it had been before.",
    ),
];

/// What is said of `status`, 400 to 599.
pub(super) fn of(status: u16) -> Wording {
    let own = WORDINGS.binary_search_by_key(&status, |row| row.0).ok();
    let (title, text) = match own.and_then(|at| WORDINGS.get(at)) {
        Some((_, title, text)) => (*title, *text),
        None if status < 500 => ("Request refused", "The server did not accept this request."),
        None => (
            "Server error",
            "Something went wrong on our side. Please try again later.",
        ),
    };
    Wording { title, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_wording_needs_escaping_and_each_is_found() {
        assert!(WORDINGS.is_sorted_by_key(|row| row.0));
        for status in 400..600 {
            let Wording { title, text } = of(status);
            let harmless = |c: char| (' '..='~').contains(&c) && !r#"<>&"\"#.contains(c);
            assert!(title.chars().chain(text.chars()).all(harmless), "{status}");
        }
    }
}
