//! No split changes the outcome, nothing panics, and what is written is read back.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use quaich_proto::cgi::{self, Variables};
use quaich_proto::fastcgi::{
    self, BEGIN_REQUEST, END_REQUEST, PARAMS, STDERR, STDIN, STDOUT, record, record_header,
};
use quaich_proto::{scgi, uwsgi};

use crate::outcome::{ALL, of_fastcgi_requests, of_scgi, of_uwsgi};

/// Pieces that make heads, packets and netstrings, next to plain noise.
const PIECES: &[&[u8]] = &[
    b"Status: 200 OK\r\n",
    b"Status: 404\n",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/2.0 200 OK\r\n",
    b"HTTP/",
    b"Content-Length: 5\n",
    b"Location: /x\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"A: b\n",
    b"\r\n",
    b"\n",
    b"\r",
    b": ",
    b"\0",
    b"\0\x0a\0\0",
    b"\x01\0A\x02\0bc",
    b"\x05\0CLIENT\0",
    b"24:CONTENT_LENGTH\x000\0SCGI\x001\0,",
    b"CONTENT_LENGTH\0",
    b"SCGI\x001\0",
    b",",
    b"9:",
    b"\x01\x01\0\x01\0\x08\0\0\0\x01\0\0\0\0\0\0",
    b"\x01\x04\0\x01\0\0\0\0",
    b"\x01\x05\0\x01\0\0\0\0",
    b"\x01\x06\0\x01\0\x03\x02\0abc##",
    b"\x01\x03\0\x01\0\x08\0\0\0\0\0\0\0\0\0\0",
    b"\x01\x09\0\0\0\0\0\0",
    b"\x01",
    b"\xff\xff\xff\xff",
    b"hello",
];

fn record_bytes() -> impl Strategy<Value = Vec<u8>> {
    let kind = select(vec![
        BEGIN_REQUEST,
        2,
        END_REQUEST,
        PARAMS,
        STDIN,
        STDOUT,
        STDERR,
        9,
        77,
    ]);
    let content = prop_oneof![
        Just(Vec::new()),
        Just(vec![0, 1, 0, 0, 0, 0, 0, 0]),
        Just(vec![0; 8]),
        Just(b"\x01\x02Abc".to_vec()),
        vec(any::<u8>(), 0..20),
    ];
    let id = select(vec![1_u16, 1, 1, 1, 2, 0]);
    (kind, id, content, 0_u8..4).prop_map(|(kind, id, content, padding)| {
        let mut header = record_header(kind, id, content.len() as u16);
        header[6] = padding;
        let mut out = header.to_vec();
        out.extend(content);
        out.extend(std::iter::repeat_n(0, padding.into()));
        out
    })
}

/// Bytes that are like messages now and then.
fn messages() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(select(PIECES), 0..20).prop_map(|pieces| pieces.concat()),
        vec(record_bytes(), 0..12).prop_map(|records| records.concat()),
        vec(any::<u8>(), 0..100),
    ]
}

fn variables() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
    let name = "[A-TV-Z_]{1,12}".prop_map(String::into_bytes);
    vec((name, vec(1_u8.., 0..150)), 0..12)
}

fn list(pairs: &[(Vec<u8>, Vec<u8>)]) -> Variables {
    let mut list = Variables::new();
    for (name, value) in pairs {
        list.push(name, value);
    }
    list
}

fn shown(pairs: &[(Vec<u8>, Vec<u8>)]) -> String {
    let show = |(name, value): &(Vec<u8>, Vec<u8>)| {
        format!(" {}={}", name.escape_ascii(), value.escape_ascii())
    };
    pairs.iter().map(show).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_split_changes_the_outcome(input in messages(), cuts in vec(any::<Index>(), 0..4)) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
        cuts.sort_unstable();
        let each: Vec<usize> = (0..input.len()).collect();
        for read in ALL {
            let whole = read(&input, &[]);
            prop_assert_eq!(&read(&input, &cuts), &whole);
            prop_assert_eq!(&read(&input, &each), &whole);
        }
    }

    #[test]
    fn what_is_written_is_read_back(pairs in variables(), body in vec(any::<u8>(), 0..100)) {
        let small = list(&pairs).size() < 2000;
        prop_assume!(small);
        let mut packet = Vec::new();
        uwsgi::encode(&mut packet, (0, 0), &list(&pairs)).unwrap();
        prop_assert_eq!(of_uwsgi(&packet, &[]), format!("{}{}", packet.len(), shown(&pairs)));

        let mut netstring = Vec::new();
        let mut others = pairs.clone();
        others.retain(|(name, _)| name != b"SCGI" && name != b"CONTENT_LENGTH");
        scgi::encode(&mut netstring, &list(&others)).unwrap();
        let expected = format!("{} CONTENT_LENGTH=0 SCGI=1{}", netstring.len(), shown(&others));
        prop_assert_eq!(of_scgi(&netstring, &[]), expected);

        let mut records = Vec::new();
        fastcgi::begin(&mut records, 1, true);
        fastcgi::params(&mut records, 1, &list(&pairs));
        record(&mut records, STDIN, 1, &body);
        records.extend_from_slice(&record_header(STDIN, 1, 0));
        let expected = format!("Ok(()) head 1 true{} body {} ", shown(&pairs), body.escape_ascii());
        prop_assert_eq!(of_fastcgi_requests(&records, &[]), expected);
    }

    #[test]
    fn a_field_name_comes_back_from_its_variable(name in "[a-z][a-z0-9-]{0,20}") {
        let mut list = Variables::new();
        list.push_field(name.as_bytes(), b"x");
        let (variable, _) = list.iter().next().unwrap();
        prop_assert!(cgi::is_field(variable, name.as_bytes()));
        let mut back = Vec::new();
        let is_own = !matches!(&*name, "content-type" | "content-length");
        prop_assert_eq!(cgi::field_name(variable, &mut back), is_own);
        prop_assert!(!is_own || back == name.as_bytes());
    }
}
