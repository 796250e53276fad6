//! Holds the parser against the reference, for one input: both must say the same, and the status of a
//! refusal must be one that the reference has a reason for. Called by the tests and by fuzzing.

use quaich_proto::h1::{Limits, RequestHead, parse_request};

use crate::reference::{self, Meaning, Verdict};

fn meaning_of(head: &RequestHead, length: usize) -> Meaning {
    let fields = head
        .headers
        .iter()
        .map(|(_, name, value)| (name.to_vec(), value.to_vec()));
    Meaning {
        length,
        method: head.method_name().to_vec(),
        path: head.path().to_vec(),
        decoded: head.path_decoded().to_vec(),
        query: head.has_query().then(|| head.query().to_vec()),
        host: head.host().to_vec(),
        port: head.port(),
        fields: fields.collect(),
        dropped: head.dropped_fields,
        body: head.body,
        keep_alive: head.keep_alive,
        expect_continue: head.expect_continue,
        upgrade: head.upgrade,
    }
}

/// What the two disagree about.
pub fn disagreement(input: &[u8], limits: &Limits) -> Option<String> {
    let mut head = RequestHead::new();
    let parsed = parse_request(input, limits, &mut head);
    let expected = reference::parse(input, limits);
    let agree = match (&expected, parsed) {
        (Verdict::Good(meaning), Ok(Some(length))) => meaning_of(&head, length) == **meaning,
        (Verdict::Bad(statuses), Err(reject)) => statuses.contains(&reject.status),
        (Verdict::Unfinished { maybe }, parsed) => parsed == Ok(None) || *maybe && parsed.is_err(),
        _ => false,
    };
    (!agree).then(|| {
        let shown = input.escape_ascii();
        let found = parsed.map(|parsed| parsed.map(|length| meaning_of(&head, length)));
        format!("{found:?}, expected {expected:?}: {shown}")
    })
}
