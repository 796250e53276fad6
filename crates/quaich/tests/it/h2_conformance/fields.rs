//! HPACK: RFC 9113 section 4.3 and RFC 7541.

use quaich_testkit::h2::{Block, Frame, H2Client, code};

use super::Expect::{Fine, GoAway, Status};
use super::{Case, Subject, case, open, run};

/// Section 4.3 demands `COMPRESSION_ERROR`. The `h2` crate says `PROTOCOL_ERROR` for all of it; the
/// connection ends either way.
const COMPRESSION: &[u32] = &[code::COMPRESSION_ERROR, code::PROTOCOL_ERROR];

/// Sends a GET whose block ends with these bytes.
fn behind(client: &mut H2Client, bytes: &[u8]) -> u32 {
    client.begin(&Block::get().raw(bytes), true)
}

/// Sends a GET whose block begins with these bytes.
fn before(client: &mut H2Client, block: Block) -> u32 {
    client.begin(&block.raw(Block::get()), true)
}

const WRONG: &[Case] = &[
    case(
        "7541 2.3.3",
        "an index beyond the tables",
        GoAway(COMPRESSION),
        |c| behind(c, Block::new().index(70).bytes()),
    ),
    case(
        "7541 2.3.3",
        "a name beyond the tables",
        GoAway(COMPRESSION),
        |c| behind(c, Block::new().named_by_index(70, "x").bytes()),
    ),
    case("7541 6.1", "the index 0", GoAway(COMPRESSION), |c| {
        behind(c, &[0x80])
    }),
    case(
        "7541 6.3",
        "a table larger than was allowed",
        GoAway(COMPRESSION),
        |c| before(c, Block::new().table_size(1 << 20)),
    ),
    case(
        "7541 4.2",
        "a table one larger than was allowed",
        GoAway(COMPRESSION),
        |c| before(c, Block::new().table_size(4097)),
    ),
    case(
        "7541 4.2",
        "a new size in the middle of a block",
        GoAway(COMPRESSION),
        |c| behind(c, Block::new().table_size(100).field("x", "y").bytes()),
    ),
    case(
        "7541 4.2",
        "a new size at the end of a block",
        GoAway(COMPRESSION),
        |c| behind(c, Block::new().table_size(100).bytes()),
    ),
    case(
        "7541 4.4",
        "an entry that a smaller table dropped",
        GoAway(COMPRESSION),
        |c| {
            let first = c.begin(&Block::get().indexed_field("x-one", "1"), true);
            assert_eq!(c.response(first).status, 200);
            before(c, Block::new().table_size(0).table_size(4096).index(62))
        },
    ),
    case(
        "7541 4.4",
        "an entry larger than the table empties it",
        GoAway(COMPRESSION),
        |c| {
            let first = c.begin(&Block::get().indexed_field("x-one", "1"), true);
            assert_eq!(c.response(first).status, 200);
            let large = "y".repeat(4096);
            let second = c.begin(&Block::get().indexed_field("x-two", large), true);
            assert_eq!(c.response(second).status, 200);
            behind(c, Block::new().index(62).bytes())
        },
    ),
    case(
        "7541 5.1",
        "an integer without an end",
        GoAway(COMPRESSION),
        |c| behind(c, &[0xff; 200]),
    ),
    case(
        "7541 5.1",
        "an integer that is cut off",
        GoAway(COMPRESSION),
        |c| behind(c, &[0x7f, 0x80]),
    ),
    case(
        "7541 5.2",
        "a string that is cut off",
        GoAway(COMPRESSION),
        |c| behind(c, &[0x00, 0x05, b'x']),
    ),
    case(
        "7541 5.2",
        "a value that is missing",
        GoAway(COMPRESSION),
        |c| behind(c, &[0x00, 0x01, b'x']),
    ),
    case(
        "7541 5.2",
        "Huffman code with EOS",
        GoAway(COMPRESSION),
        |c| behind(c, &[0x00, 0x01, b'x', 0x84, 0xff, 0xff, 0xff, 0xff]),
    ),
    case(
        "7541 5.2",
        "Huffman padding of more than 7 bits",
        GoAway(COMPRESSION),
        |c| {
            // 'a' is 00011; the rest are ones.
            behind(c, &[0x00, 0x01, b'x', 0x82, 0b0001_1111, 0xff])
        },
    ),
    case(
        "7541 5.2",
        "Huffman padding that is not the beginning of EOS",
        GoAway(COMPRESSION),
        |c| behind(c, &[0x00, 0x01, b'x', 0x81, 0b0001_1000]),
    ),
    case(
        "4.3",
        "trailers that cannot be decoded",
        GoAway(COMPRESSION),
        |c| {
            let stream = open(c);
            c.frame(&Frame::headers(stream, [0x80]).end());
            0
        },
    ),
    case(
        "4.3",
        "a wrong block on a stream that is refused anyhow",
        GoAway(COMPRESSION),
        |c| {
            let block = Block::new().field("connection", "x").raw([0x80]);
            c.begin(&block, true);
            0
        },
    ),
];

#[test]
fn blocks_that_cannot_be_decoded_end_the_connection() {
    run(WRONG);
}

const RIGHT: &[Case] = &[
    case("7541 6.1", "the static table", Status(200), |c| {
        let block = Block::new().index(2).index(6).index(4);
        c.begin(&block.named_by_index(1, "test"), true)
    }),
    case("7541 6.2", "every kind of literal", Status(200), |c| {
        let block = Block::get().indexed_field("x-one", "1").index(62);
        let block = block.named_by_index(62, "2").secret_field("x-three", "3");
        c.begin(&block, true)
    }),
    case("7541 5.2", "Huffman code", Status(200), |c| {
        // :authority as www.example.com, from RFC 7541 C.4.1.
        let coded = [
            0x8c, 0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff,
        ];
        c.begin(&Block::new().raw([0x82, 0x86, 0x84, 0x41]).raw(coded), true)
    }),
    case(
        "7541 4.2",
        "two new sizes at the beginning",
        Status(200),
        |c| before(c, Block::new().table_size(0).table_size(4096)),
    ),
    case("7541 4.2", "the largest size", Status(200), |c| {
        before(c, Block::new().table_size(4096))
    }),
    case(
        "7541 2.3.2",
        "entries outlive their request",
        Status(200),
        |c| {
            let names = [":method", ":scheme", ":path", ":authority"];
            let values = ["GET", "http", "/", "test"];
            let pairs = names.iter().zip(values);
            let block = pairs.fold(Block::new(), |b, (n, v)| b.indexed_field(n, v));
            let first = c.begin(&block, true);
            assert_eq!(c.response(first).status, 200);
            c.begin(&Block::new().index(65).index(64).index(63).index(62), true)
        },
    ),
    case(
        "4.3",
        "entries of a request that was refused",
        Status(200),
        |c| {
            let block = Block::get().indexed_field("x-kept", "1");
            let refused = c.begin(&block.field("connection", "close"), true);
            c.response(refused);
            c.begin(&Block::get().index(62), true)
        },
    ),
    case("4.3", "entries of trailers", Status(200), |c| {
        let first = open(c);
        c.send_block(first, &Block::new().indexed_field("x-kept", "1"), true);
        c.response(first);
        c.begin(&Block::get().index(62), true)
    }),
    case(
        "4.3",
        "entries of a stream that was reset",
        Status(200),
        |c| {
            let first = c.begin(&Block::post().indexed_field("x-kept", "1"), false);
            c.frame(&Frame::rst_stream(first, code::CANCEL));
            c.begin(&Block::get().index(62), true)
        },
    ),
    case("7541 4.4", "the oldest entries make room", Fine, |c| {
        for n in 0..40 {
            let block = Block::get().indexed_field(format!("x-{n}"), "y".repeat(300));
            let stream = c.begin(&block, true);
            assert_eq!(c.response(stream).status, 200);
        }
        0
    }),
];

#[test]
fn blocks_of_every_right_form_are_understood() {
    run(RIGHT);
}

#[test]
fn fields_are_what_the_tables_say() {
    let subject = Subject::start();
    let mut client = H2Client::over(subject.connect());
    if std::env::var_os("QUAICH_CONFORMANCE_PEER").is_some() {
        return;
    }
    let cookie = |block: Block| block.indexed_field("cookie", "a=1").index(62);
    let block = client.request("GET", "/cookie");
    let stream = client.begin(&cookie(block), true);
    // Section 8.2.3: what goes on in HTTP/1 has them in one field.
    assert_eq!(client.response(stream).body, b"a=1; a=1");
}
