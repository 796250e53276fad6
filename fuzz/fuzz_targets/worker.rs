//! The messages of the worker channel, each decoder on the same bytes: never a panic, and what was
//! decoded comes back from its encoding. Started by `cargo xtask fuzz worker`.

#![no_main]

use quaich_proto::worker::boot::{FromWorker, ToWorker};
use quaich_proto::worker::frame::{HeadView, begin_head, pack_file, pack_head, push_field};
use quaich_proto::worker::frame::{unpack_error, unpack_file, unpack_head};
use quaich_proto::worker::layout::Layout;
use quaich_proto::worker::link::Message;
use quaich_proto::worker::message::{decode_request, encode_request};

fn request(bytes: &[u8]) {
    let Ok(view) = decode_request(bytes) else {
        return;
    };
    assert_eq!(view.fields().count(), view.field_count());
    let mut again = Vec::new();
    // A field with an id may have come with a name, which the encoder leaves out.
    let named = view
        .fields()
        .any(|(id, name, _)| id != 0 && !name.is_empty());
    encode_request(&mut again, &view.meta, view.fields()).expect("what was decoded fits");
    let second = decode_request(&again).expect("what was encoded is valid");
    assert_eq!(second.meta, view.meta);
    assert!(named || second.fields().eq(view.fields()));
}

fn head(bytes: &[u8]) {
    let Ok(view) = HeadView::decode(bytes) else {
        return;
    };
    let fields: Result<Vec<_>, _> = view.fields().collect();
    let Ok(fields) = fields else { return };
    let mut again = Vec::new();
    begin_head(&mut again, view.status, view.reason);
    for (name, value) in &fields {
        push_field(&mut again, name, value).expect("what was decoded fits");
    }
    let second = HeadView::decode(&again).expect("what was encoded is valid");
    assert_eq!((second.status, second.reason), (view.status, view.reason));
    assert_eq!(second.fields().collect::<Result<Vec<_>, _>>(), Ok(fields));
}

fn frame(bytes: &[u8]) {
    if let Some(word) = bytes.first_chunk() {
        let word = u64::from_le_bytes(*word);
        if let Ok((kind, length)) = unpack_head(word) {
            assert_eq!(pack_head(kind, length), word.to_le_bytes());
        }
    }
    if let Ok((offset, length)) = unpack_file(bytes) {
        assert_eq!(pack_file(offset, length), bytes);
    }
    if let Ok((_, text)) = unpack_error(bytes) {
        assert!(text.len() < bytes.len());
    }
}

fn control(bytes: &[u8]) {
    if let Ok(message) = ToWorker::decode(bytes) {
        assert_eq!(ToWorker::decode(&message.encode()), Ok(message));
    }
    if let Ok(message) = FromWorker::decode(bytes) {
        // The first encoding may shorten a text, the second finds it short enough.
        let packet = message.encode();
        let again = FromWorker::decode(&packet).expect("what was encoded is valid");
        assert_eq!(again.encode(), packet);
    }
    if let Some(message) = Message::decode(bytes) {
        assert_eq!(Message::decode(&message.encode()), Some(message));
    }
    if let Some(layout) = bytes
        .first_chunk()
        .and_then(|header| Layout::from_header(header).ok())
    {
        assert_eq!(Layout::from_header(&layout.header()), Ok(layout));
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    request(data);
    head(data);
    frame(data);
    control(data);
});
