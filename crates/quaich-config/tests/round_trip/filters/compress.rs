//! `compress`: content codings of answers.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::subsequence;
use quaich_config::model::*;

/// Of a site or route.
pub fn any() -> impl Strategy<Value = Compress> {
    let codings = subsequence(ContentCoding::ALL.to_vec(), 1..=3).prop_shuffle();
    let types = vec("[a-z]{1,6}/([a-z]{1,6}|\\*|\\*\\+json)", 0..3);
    let levels = (1..=19_u8, 1..=11_u8, 1..=9_u8);
    let on = (
        codings,
        proptest::num::u32::ANY,
        types,
        levels,
        proptest::bool::ANY,
    )
        .prop_map(
            |(codings, min, types, (zstd, br, gzip), cookies)| Compress {
                codings,
                min: min.into(),
                types,
                levels: CompressLevels { zstd, br, gzip },
                cookies,
            },
        );
    let short = (0..9_u64).prop_map(|min| Compress {
        min,
        ..Compress::default()
    });
    prop_oneof![on, short, Just(Compress::default()), Just(Compress::off())]
}
