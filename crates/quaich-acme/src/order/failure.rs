//! What an authority's refusal means, in words, and when to try again.

use instant_acme::{ChallengeType, Error as AcmeError, Problem};

use crate::http::{Http, Refusal};
use crate::order::challenge;

/// An order that did not give a certificate.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// What failed, what the authority said, what to do.
    pub reason: String,
    /// Not before this time, if the authority says so.
    pub retry_at: Option<u64>,
    /// The authority does not know our account: it is to be made anew.
    pub no_account: bool,
    /// The order is of no use any more.
    pub order_is_dead: bool,
    /// HTTP status of the refusal, if that is what it was.
    pub status: Option<u16>,
}

impl From<crate::Error> for Failure {
    fn from(error: crate::Error) -> Self {
        Self::new(error.to_string())
    }
}

impl Failure {
    /// One of our own.
    pub(crate) fn new(reason: String) -> Self {
        Self {
            reason,
            retry_at: None,
            no_account: false,
            order_is_dead: false,
            status: None,
        }
    }

    /// `doing` failed with `error`; `http` made the request.
    pub(crate) fn of(doing: &str, error: &AcmeError, http: &Http) -> Self {
        let refusal = http.take_refusal();
        let kind = kind_of(error);
        let reason = match error {
            AcmeError::Api(problem) => format!("{doing}: {}", in_words(problem)),
            AcmeError::Json(_) => match &refusal {
                Some(Refusal { status, .. }) => {
                    format!("{doing}: the authority answered {status} and no more")
                }
                None => format!("{doing}: the authority answered what is no ACME: {error}"),
            },
            AcmeError::Timeout(_) => format!("{doing}: the authority has not come to an end yet"),
            _ => format!("{doing}: {error}"),
        };
        Self {
            reason,
            status: refusal.as_ref().map(|refusal| refusal.status),
            retry_at: refusal.and_then(|refusal| refusal.retry_at),
            no_account: kind == "accountDoesNotExist",
            order_is_dead: matches!(error, AcmeError::Api(_)) && !is_passing(kind),
        }
    }
}

/// Whether the same order may succeed later.
fn is_passing(kind: &str) -> bool {
    let passing = ["badNonce", "rateLimited", "serverInternal", "orderNotReady"];
    passing.contains(&kind)
}

/// The last part of the problem's URN; empty if there is none.
pub(crate) fn kind_of(error: &AcmeError) -> &str {
    match error {
        AcmeError::Api(problem) => problem_kind(problem),
        _ => "",
    }
}

fn problem_kind(problem: &Problem) -> &str {
    let urn = problem.r#type.as_deref().unwrap_or_default();
    urn.rsplit(':').next().unwrap_or_default()
}

/// A problem document as one sentence, with what to do.
pub(crate) fn in_words(problem: &Problem) -> String {
    let kind = problem_kind(problem);
    let mut words = match &problem.detail {
        Some(detail) => format!("the authority says: {}", printable(detail)),
        None => "the authority refuses".to_string(),
    };
    if !kind.is_empty() {
        words.push_str(&format!(" ({})", printable(kind)));
    }
    for part in problem.subproblems.iter().take(10) {
        words.push_str(&format!("; {}", printable(&part.to_string())));
    }
    if let Some(hint) = hint(kind) {
        words.push_str(&format!(". {hint}"));
    }
    words
}

/// Why `name` could not be shown to be ours by `kind`.
pub(crate) fn of_name(name: &str, kind: &ChallengeType, problem: &Problem) -> String {
    let mut words = format!("{name}: {}", in_words(problem));
    if let Some(hint) = challenge_hint(problem_kind(problem), kind, name) {
        words.push_str(&format!(". {hint}"));
    }
    words
}

/// What to do about the kinds of problem that only depend on the account or the order.
fn hint(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "externalAccountRequired" => {
            "This authority wants an account of its own site: set tls.acme.eab"
        }
        "rateLimited" => "Until then the certificates that are there stay in use",
        "caa" => "The CAA record of the name does not allow this authority",
        "rejectedIdentifier" => "This authority gives no certificates for that name",
        "invalidContact" | "unsupportedContact" => "Check tls.acme.email",
        "userActionRequired" => "Open the link with a browser",
        "invalidProfile" => "Check tls.acme.profile",
        _ => return None,
    })
}

fn challenge_hint(problem: &str, kind: &ChallengeType, name: &str) -> Option<String> {
    let port = match kind {
        ChallengeType::TlsAlpn01 => 443,
        _ => 80,
    };
    Some(match problem {
        // Some authorities call a name that they cannot resolve a connection problem.
        "dns" | "connection" | "tls" => format!(
            "{name} must lead to this machine (A or AAAA record), and for {} its port {port} must \
             be reachable from outside and lead to quaich",
            challenge::name_of(kind)
        ),
        "unauthorized" | "incorrectResponse" => format!(
            "Something else seems to answer on port {port} of {name}: \
             does the name lead to this machine?"
        ),
        _ => return None,
    })
}

/// A stranger's text, fit for a log.
fn printable(text: &str) -> String {
    let text = text.chars().take(1000);
    text.map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(json: &str) -> Problem {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn says_what_the_authority_said_and_what_to_do() {
        let text = of_name(
            "shop.example",
            &ChallengeType::Http01,
            &problem(
                r#"{"type": "urn:ietf:params:acme:error:connection",
                    "detail": "no route\nto host"}"#,
            ),
        );
        assert_eq!(
            text,
            "shop.example: the authority says: no route to host (connection). shop.example must \
             lead to this machine (A or AAAA record), and for http-01 its port 80 must be \
             reachable from outside and lead to quaich"
        );
    }

    #[test]
    fn names_the_names_of_subproblems() {
        let text = in_words(&problem(
            r#"{"type": "urn:ietf:params:acme:error:rejectedIdentifier", "detail": "no",
                "subproblems": [{"type": "urn:x:caa", "detail": "CAA forbids",
                                 "identifier": {"type": "dns", "value": "a.example"}}]}"#,
        ));
        assert!(text.contains(r#"for "a.example": CAA forbids"#), "{text}");
    }
}
