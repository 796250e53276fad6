//! The records of `tests/data`: each comes out as required, whole, cut in two at any byte, and byte
//! by byte.

use crate::outcome::{of_request, of_response};

struct Record {
    name: String,
    expect: String,
    bytes: Vec<u8>,
}

fn records(text: &str) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    for line in text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        if line.starts_with('[') {
            let name = line.to_owned();
            records.push(Record {
                name,
                expect: String::new(),
                bytes: Vec::new(),
            });
            continue;
        }
        let record = records.last_mut().expect("a record begins with its name");
        if let Some(expect) = line.strip_prefix("expect ") {
            record.expect = expect.to_owned();
        } else if let Some(written) = line.strip_prefix("| ") {
            unescape(written, &mut record.bytes);
        } else {
            panic!("{line:?} is no line of a record");
        }
    }
    records
}

/// One byte as it is written, and what comes after it.
fn unescape_one(written: &str) -> (u8, &str) {
    let Some(escape) = written.strip_prefix('\\') else {
        return (written.as_bytes()[0], &written[1..]);
    };
    let (letter, rest) = escape.split_at(1);
    match letter {
        "r" => (b'\r', rest),
        "n" => (b'\n', rest),
        "t" => (b'\t', rest),
        "0" => (0, rest),
        "\\" => (b'\\', rest),
        "x" => (
            u8::from_str_radix(&rest[..2], 16).expect("two digits"),
            &rest[2..],
        ),
        _ => panic!("{written:?} begins with an unknown escape"),
    }
}

fn unescape(mut written: &str, bytes: &mut Vec<u8>) {
    while !written.is_empty() {
        let mut count = 1;
        let run = written
            .strip_prefix("\\{")
            .map(|run| run.split_once('*').expect("count*byte"));
        if let Some((times, byte)) = run {
            count = times.parse().expect("a count");
            written = byte;
        }
        let (byte, rest) = unescape_one(written);
        bytes.extend(std::iter::repeat_n(byte, count));
        written = if run.is_some() {
            rest.strip_prefix('}').expect("the run ends")
        } else {
            rest
        };
    }
}

/// The outcomes of the whole, of every cut in two, and of single bytes; the first must be what the
/// record expects and the others the same as it.
fn check(text: &str, least: usize, outcome: fn(&[u8], &[usize]) -> String) {
    let records = records(text);
    assert!(
        records.len() >= least,
        "only {} records were read",
        records.len()
    );
    let mut wrong = Vec::new();
    for Record {
        name,
        expect,
        bytes,
    } in &records
    {
        let whole = outcome(bytes, &[]);
        let refused = expect.len() == 3 && whole.split(' ').next() == Some(expect);
        if !refused && whole != *expect {
            wrong.push(format!("{name}: {whole:?}, expected {expect:?}"));
        }
        // Every cut of the long ones would take minutes; what matters is near lines' ends.
        let step = if bytes.len() > 4096 { 61 } else { 1 };
        for cut in (0..bytes.len()).step_by(step) {
            let split = outcome(bytes, &[cut]);
            if split != whole {
                wrong.push(format!("{name} cut at {cut}: {split:?}, whole {whole:?}"));
                break;
            }
        }
        let each: Vec<usize> = (0..bytes.len()).collect();
        let single = outcome(bytes, &each);
        if single != whole {
            wrong.push(format!("{name} byte by byte: {single:?}, whole {whole:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_request_of_the_corpus_has_its_required_outcome_however_it_is_cut() {
    check(include_str!("../data/requests.txt"), 120, of_request);
}

#[test]
fn every_response_of_the_corpus_has_its_required_outcome_however_it_is_cut() {
    check(include_str!("../data/responses.txt"), 35, of_response);
}
