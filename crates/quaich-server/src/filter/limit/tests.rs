//! The table and the arithmetic, with given times.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use quaich_config::model::LimitRate;

use super::bucket::{Bucket, Verdict, seconds};
use super::table::Table;

const SECOND: u64 = 1_000_000_000;

/// Somewhen.
const START: u64 = 1_000 * SECOND;

fn rate(count: u32, burst: u32, delay: Option<u32>) -> LimitRate {
    LimitRate {
        count,
        per: Duration::from_secs(1),
        burst,
        delay,
    }
}

fn ask(table: &Table, bucket: &Bucket, key: u64, now: u64) -> Verdict {
    table.update(key, now, |full, admitted| {
        let (full, verdict) = bucket.ask(full, now);
        *admitted += u64::from(matches!(verdict, Verdict::Admitted { .. }));
        (full, verdict)
    })
}

fn is_admitted(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Admitted { .. })
}

/// A key as good as a hash.
fn mixed(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[test]
fn ten_a_second_with_a_burst_of_five_admits_exactly_so_many() {
    let (table, bucket) = (Table::new(100), Bucket::new(&rate(10, 5, None)));
    let at = |now| is_admitted(ask(&table, &bucket, 7, now));
    let burst = (0..20).filter(|_| at(START)).count();
    assert_eq!(burst, 5, "at once");
    // A request each millisecond of the next second: one more each tenth.
    let times = (1..=1000).map(|ms| START + ms * SECOND / 1000);
    let admitted: Vec<u64> = times
        .filter(|now| at(*now))
        .map(|now| now - START)
        .collect();
    let expected: Vec<u64> = (1..=10).map(|n| n * SECOND / 10).collect();
    assert_eq!(admitted, expected);
    // After a pause all five are there again.
    assert_eq!((0..20).filter(|_| at(START + 10 * SECOND)).count(), 5);
    assert_eq!(table.admitted(), 20);
}

#[test]
fn a_refusal_says_when_there_is_room_and_an_admission_how_much_is_left() {
    let bucket = Bucket::new(&rate(10, 2, None));
    let tenth = SECOND / 10;
    let (full, first) = bucket.ask(0, START);
    let admitted = |left, full_in| Verdict::Admitted {
        wait: 0,
        left,
        full_in,
    };
    assert_eq!(first, admitted(1, tenth));
    let (full, second) = bucket.ask(full, START);
    assert_eq!(second, admitted(0, 2 * tenth));
    let (same, third) = bucket.ask(full, START + 1);
    assert_eq!(third, Verdict::Refused { retry: tenth - 1 });
    assert_eq!(same, full, "a refusal is not counted");
    assert!(is_admitted(bucket.ask(full, START + tenth).1));
    assert!(is_admitted(bucket.ask(bucket.give_back(full), START + 1).1));
    assert_eq!(
        [seconds(1), seconds(SECOND), seconds(SECOND + 1)],
        [1, 1, 2]
    );
}

#[test]
fn delayed_requests_come_in_the_pace_of_the_rate() {
    for (delay, waits) in [(1, [0, 1, 2, 3]), (3, [0, 0, 0, 1]), (4, [0, 0, 0, 0])] {
        let bucket = Bucket::new(&rate(10, 4, Some(delay)));
        let mut full = 0;
        for tenths in waits {
            let (next, verdict) = bucket.ask(full, START);
            full = next;
            let Verdict::Admitted { wait, .. } = verdict else {
                panic!("a burst of 4 is let in");
            };
            assert_eq!(wait, tenths * SECOND / 10, "delay = {delay}");
        }
        assert!(!is_admitted(bucket.ask(full, START).1));
    }
}

#[test]
fn every_key_has_a_bucket_of_its_own() {
    let (table, bucket) = (Table::new(100_000), Bucket::new(&rate(1, 2, None)));
    for _ in 0..2 {
        assert!((0..50_000).all(|n| is_admitted(ask(&table, &bucket, mixed(n), START))));
    }
    assert!(!(0..50_000).any(|n| is_admitted(ask(&table, &bucket, mixed(n), START))));
    assert_eq!(table.keys(), 50_000);
}

#[test]
fn as_many_keys_as_allowed_are_held_and_cost_at_most_64_bytes_each() {
    let bucket = Bucket::new(&rate(1, 2, None));
    for keys in [1000, 5000, 20_000, 33_000, 65_536, 100_000, 131_072] {
        let table = Table::new(keys);
        (0..keys as u64).for_each(|n| drop(ask(&table, &bucket, mixed(n), START)));
        assert_eq!(table.keys(), keys, "all are held");
        let each = table.bytes() / keys;
        assert!(each <= 64, "{keys} keys cost {each} bytes each");
    }
}

#[test]
fn keys_without_end_stay_within_the_bound_and_the_oldest_go() {
    let (table, bucket) = (Table::new(10_000), Bucket::new(&rate(1, 60, None)));
    let mut largest = 0;
    for n in 0..200_000 {
        // A thousand an hour: all are current all the time.
        ask(&table, &bucket, mixed(n), START + n);
        largest = largest.max(if n % 1000 == 0 { table.bytes() } else { 0 });
    }
    assert!(table.keys() <= 12_000, "{} keys", table.keys());
    assert!(largest <= 12_000 * 64, "{largest} bytes");
    let left = |n: u64| match ask(&table, &bucket, mixed(n), START + 200_000) {
        Verdict::Admitted { left, .. } => left,
        Verdict::Refused { .. } => panic!("one of sixty"),
    };
    assert!(
        (199_000..200_000).all(|n| left(n) == 58),
        "the last are known"
    );
    assert!((0..1000).all(|n| left(n) == 59), "the first are not");
}

#[test]
fn passed_keys_make_room_and_give_their_memory_back() {
    let (table, bucket) = (Table::new(100_000), Bucket::new(&rate(10, 5, None)));
    (0..50_000).for_each(|n| drop(ask(&table, &bucket, mixed(n), START)));
    let full = table.bytes();
    let later = START + SECOND;
    (50_000..60_000).for_each(|n| drop(ask(&table, &bucket, mixed(n), later)));
    assert!(table.bytes() <= full, "their slots are used again");
    table.tend(later + SECOND, usize::MAX);
    assert_eq!(table.keys(), 0);
    assert!(table.bytes() < full / 100, "{} bytes", table.bytes());
}

#[test]
fn threads_share_what_they_count() {
    let (table, bucket) = (Table::new(1000), Bucket::new(&rate(1, 1000, None)));
    let admitted: usize = std::thread::scope(|scope| {
        let one = || {
            (0..5000)
                .filter(|_| is_admitted(ask(&table, &bucket, 3, START)))
                .count()
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(one)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(admitted, 1000);
}

proptest! {
    #[test]
    fn no_window_admits_more_than_its_burst_and_its_rate(
        (count, burst) in (1_u32..1000, 1_u32..50),
        gaps in proptest::collection::vec(0_u64..50_000_000, 1..300),
    ) {
        let bucket = Bucket::new(&rate(count, burst, None));
        let interval = u64::from(1_000_000_000 / count);
        let (mut now, mut full) = (START, 0);
        let mut admitted = Vec::new();
        for gap in gaps {
            now += gap;
            let (next, verdict) = bucket.ask(full, now);
            full = next;
            if is_admitted(verdict) {
                admitted.push(now);
            }
        }
        for (place, from) in admitted.iter().enumerate() {
            for (more, to) in admitted[place..].iter().enumerate() {
                prop_assert!(more as u64 <= (to - from) / interval + u64::from(burst));
            }
        }
    }

    #[test]
    fn the_table_does_as_a_map_does(
        asks in proptest::collection::vec((0_u64..300, 0_u64..20_000_000), 1..1500),
    ) {
        let (table, bucket) = (Table::new(4096), Bucket::new(&rate(50, 3, None)));
        let mut map = std::collections::HashMap::new();
        let mut now = START;
        for (key, gap) in asks {
            now += gap;
            let full = map.entry(key).or_insert(0);
            let (next, expected) = bucket.ask(*full, now);
            *full = next;
            prop_assert_eq!(ask(&table, &bucket, mixed(key), now), expected);
        }
    }

    #[test]
    fn no_times_overflow(full: u64, now in 0..u64::MAX / 2, count: u32, burst: u32, delay: u32) {
        let bucket = Bucket::new(&rate(count, burst, Some(delay)));
        let _ = (bucket.ask(full, now), bucket.give_back(full), bucket.window());
    }
}

/// What one request costs: `cargo test --release -p quaich-server --lib limit -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn nanoseconds_of_an_answer() {
    let bucket = Bucket::new(&rate(10, 5, None));
    for keys in [1_u64, 50_000, 1_000_000] {
        let table = Table::new(1_000_000);
        let mut now = START;
        (0..keys).for_each(|n| drop(ask(&table, &bucket, mixed(n), now)));
        for threads in [1, 2] {
            const ASKS: u64 = 4_000_000;
            now += SECOND;
            let begin = Instant::now();
            std::thread::scope(|scope| {
                for thread in 0..threads {
                    let (table, bucket) = (&table, &bucket);
                    scope.spawn(move || {
                        for n in 0..ASKS {
                            let key = mixed((n * 7 + thread) % keys);
                            std::hint::black_box(ask(table, bucket, key, now + n * 250));
                        }
                    });
                }
            });
            let each = begin.elapsed().as_nanos() as f64 / ASKS as f64;
            println!(
                "{keys} keys, {threads} threads: {each:.1} ns, {} bytes",
                table.bytes()
            );
        }
    }
}
