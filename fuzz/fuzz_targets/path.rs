//! A path: its normal form is final, has no dot segment in either reading, and is what the quick look
//! takes for normal. Started by `cargo xtask fuzz path`.

#![no_main]

use quaich_proto::target::{append_decoded, normalise, scan};

fn has_dot_segment(path: &[u8]) -> bool {
    path.split(|&byte| byte == b'/').any(|segment| {
        matches!(segment, b"." | b"..") || segment.starts_with(b".;") || segment.starts_with(b"..;")
    })
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let path = [b"/", data].concat();
    let mut normal = Vec::new();
    let found = normalise(&path, &mut normal);
    let form = scan(&path).filter(|form| form.is_normal && form.path_length == path.len());
    if form.is_some() {
        assert_eq!(normal, path);
    }
    if found.is_none() {
        assert!(normal.is_empty());
        return;
    }
    let mut again = Vec::new();
    assert!(normalise(&normal, &mut again).is_some());
    assert_eq!(again, normal);
    assert!(normal.starts_with(b"/") && !normal.windows(2).any(|pair| pair == b"//"));
    assert!(!has_dot_segment(&normal));
    let length = normal.len();
    append_decoded(&mut normal, 0);
    let decoded = normal.split_off(length);
    assert!(!decoded.starts_with(b"//") && !has_dot_segment(&decoded));
    assert!(
        decoded
            .iter()
            .all(|&byte| byte >= 0x20 && byte != 0x7f && byte != b'\\')
    );
});
