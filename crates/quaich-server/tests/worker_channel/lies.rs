//! A worker that writes what it likes into the region. The front survives, and its other requests
//! end in time.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use proptest::prelude::*;
use quaich_proto::worker::Region;
use quaich_proto::worker::message::Body;
use quaich_proto::worker::queue;
use quaich_proto::worker::state::{Owner, Published};
use quaich_server::upstream::wire::worker::{Failure, Timeouts, WorkerReport};

use crate::rig::{Rig, echo, read_whole, with_front};

const SHORT: Timeouts = Timeouts {
    queue: Duration::from_millis(50),
    run: Duration::from_millis(50),
};

/// Claims one request as worker 0 and answers with `words` in the ring, `published` bytes of them.
async fn answer_raw(rig: &Rig, words: &[u64], published: u64, done: bool) -> Result<(), Failure> {
    let region = rig.raw();
    let mut call = rig
        .try_submit("/", Body::None, None, SHORT)
        .expect("queued");
    let owner = Owner {
        worker: 0,
        thread: 0,
    };
    let (slot, generation) = queue::claim(&region, owner).expect("a request");
    for (n, word) in words.iter().enumerate() {
        region.write_ring(slot, n as u64 * 8, &word.to_le_bytes());
    }
    let word = Published {
        generation,
        done,
        position: published,
    };
    region.published(slot).store(word.pack(), SeqCst);
    if queue::announce(&region, 0, slot) {
        rig.ring();
    }
    read_whole(&mut call).await.map(drop)
}

#[test]
fn nonsense_in_a_ring_fails_the_request_and_is_reported() {
    with_front(1, async |rig| {
        let fds = rig.up(0, rig.outfit(1));
        let end = 4 << 32;
        let head = [1u64 << 32 | 4, 200];
        let cases: [(&[u64], u64, bool); 9] = [
            (&[9 << 32], 8, false),
            (&[end], 8, true),
            (&[2 << 32 | 8, 0], 16, false),
            (&[1 << 32 | 4, 99], 16, false),
            (&[1 << 32 | 0xFFFF_FFF0], 8, false),
            (&[head[0], head[1], end, 0], 32, true),
            (&[head[0], head[1], 3 << 32 | 16, 0, 0, end], 48, true),
            (&[head[0], head[1]], 16, true),
            (&[], 1 << 20, false),
        ];
        for (words, published, done) in cases {
            let answer = answer_raw(&rig, words, published, done).await;
            assert_eq!(answer, Err(Failure::Protocol), "{words:x?}");
            let report = rig.report().await;
            assert!(
                matches!(report, WorkerReport::Lied { id: 0, .. }),
                "{report:?}"
            );
        }
        // The supervisor has killed it: its slots come back.
        drop(fds);
        rig.channel.worker_down(0);
        rig.until(|| rig.channel.stats().in_flight == 0).await;
        let worker = rig.worker(0, 1, echo);
        assert_eq!(rig.ask("/after").await, Ok((200, b"/after".to_vec())));
        worker.stop();
    });
}

#[derive(Clone, Debug)]
struct Scribble {
    word: u8,
    place: u64,
    value: u64,
}

fn scribble(region: &Region, scribble: &Scribble) {
    let layout = region.layout();
    let Some(slot) = layout.slot(scribble.place % layout.slots() as u64) else {
        return;
    };
    let small = scribble.value.is_multiple_of(2);
    let value = if small {
        scribble.value % 300
    } else {
        scribble.value
    };
    let word = match scribble.word {
        0 => region.head(),
        1 => region.tail(),
        2 => region.entry(scribble.place),
        3 => region.sleepers(scribble.place as usize % layout.sleeper_words()),
        4 => region.rest(0),
        5 => region.news(0, scribble.place as usize % layout.news_words()),
        6 => region.service(scribble.place as u32, 0),
        7 => region.state(slot),
        8 => region.brief(slot),
        9 => region.cancel(slot),
        10 => region.taken(slot),
        11 => region.published(slot),
        12 => region.wants_room(slot),
        _ => return region.write_ring(slot, scribble.place, &value.to_le_bytes()),
    };
    word.store(value, SeqCst);
}

fn any_scribble() -> impl Strategy<Value = Scribble> {
    // The lowest slots are the ones in use.
    let place = prop_oneof![0..4u64, any::<u64>()];
    (0..14u8, place, any::<u64>()).prop_map(|(word, place, value)| Scribble { word, place, value })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn no_word_that_a_worker_writes_hangs_or_breaks_the_front(
        rounds in prop::collection::vec(prop::collection::vec(any_scribble(), 1..6), 1..6),
    ) {
        with_front(1, async |rig| {
            let fds = rig.up(0, rig.outfit(1));
            let region = rig.raw();
            for round in &rounds {
                let mut calls: Vec<_> = (0..3)
                    .filter_map(|_| rig.try_submit("/", Body::None, None, SHORT).ok())
                    .collect();
                let _ = queue::claim(&region, Owner { worker: 0, thread: 0 });
                for one in round {
                    scribble(&region, one);
                }
                for call in &mut calls {
                    // Any outcome, but one.
                    let _ = read_whole(call).await;
                }
            }
            drop(fds);
            rig.channel.worker_down(0);
            rig.until(|| rig.channel.stats().in_flight == 0).await;
        });
    }
}
