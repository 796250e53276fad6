//! A path: its normal form is final, has no dot segment in either reading, is what the quick look
//! takes for normal, and both its forms are what the reference says. Started by `cargo xtask fuzz path`.

#![no_main]

use quaich_fuzz::path_reference::normal_path;
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
    // The reference reads a target: what follows a question mark is no path to it.
    let expected = normal_path(&path).filter(|_| !path.contains(&b'?'));
    if found.is_none() {
        assert!(normal.is_empty() && expected.is_none());
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
    if !path.contains(&b'?') {
        assert_eq!(expected, Some((normal, decoded.clone())));
    }
    assert!(!decoded.starts_with(b"//") && !has_dot_segment(&decoded));
    assert!(
        decoded
            .iter()
            .all(|&byte| byte >= 0x20 && byte != 0x7f && byte != b'\\')
    );
});
