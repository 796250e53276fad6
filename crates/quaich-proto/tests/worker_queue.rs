//! The request queue under many consumers, some of which die between two steps.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, SeqCst};

use quaich_proto::worker::layout::Slot;
use quaich_proto::worker::queue::{Producer, claim, fall_asleep, waits, wake_up};
use quaich_proto::worker::state::{Generation, Owner, State};
use quaich_proto::worker::{Layout, Region, region};

fn region() -> Region {
    let layout = Layout::for_app(60, 2, 2, 1);
    Region::map(region::create(&layout).expect("memfd")).expect("map")
}

fn slot(region: &Region, number: u64) -> Slot {
    region.layout().slot(number).expect("in range")
}

fn owner(worker: u32) -> Owner {
    Owner { worker, thread: 0 }
}

fn push(producer: &mut Producer, region: &Region, number: u64, generation: u32) {
    let (slot, generation) = (slot(region, number), Generation::new(generation));
    region
        .state(slot)
        .store(State::Ready(generation).pack(), SeqCst);
    producer.push(region, slot, generation);
}

fn claimed(region: &Region, number: u64, generation: u32) -> Option<(Slot, Generation)> {
    Some((slot(region, number), Generation::new(generation)))
}

#[test]
fn a_consumer_that_dies_after_its_claim_holds_up_nobody() {
    let region = region();
    let mut producer = Producer::default();
    (0..3).for_each(|number| push(&mut producer, &region, number, 7));
    // It has swapped the state and never moves the head.
    let running = State::Running(Generation::new(7), owner(1)).pack();
    region.state(slot(&region, 0)).store(running, SeqCst);
    assert_eq!(claim(&region, owner(2)), claimed(&region, 1, 7));
    assert_eq!(claim(&region, owner(2)), claimed(&region, 2, 7));
    assert_eq!(claim(&region, owner(2)), None);
    assert!(!waits(&region));
    assert_eq!(region.state(slot(&region, 0)).load(SeqCst), running);
}

#[test]
fn an_entry_of_an_older_use_claims_nothing() {
    let region = region();
    let mut producer = Producer::default();
    push(&mut producer, &region, 5, 1);
    // Taken back and used again: the first entry is still in the queue.
    push(&mut producer, &region, 5, 2);
    assert_eq!(claim(&region, owner(1)), claimed(&region, 5, 2));
    assert_eq!(claim(&region, owner(1)), None);
}

#[test]
fn entries_that_were_taken_back_make_room_in_order() {
    let region = region();
    let mut producer = Producer::default();
    push(&mut producer, &region, 0, 1);
    for generation in 0..3 * region.layout().capacity() as u32 {
        push(&mut producer, &region, 1, generation);
        if generation == 100 {
            push(&mut producer, &region, 2, 1);
        }
    }
    region
        .state(slot(&region, 1))
        .store(State::Free.pack(), SeqCst);
    push(&mut producer, &region, 3, 1);
    for number in [0, 2, 3] {
        assert_eq!(claim(&region, owner(1)), claimed(&region, number, 1));
    }
    assert_eq!(claim(&region, owner(1)), None);
}

#[test]
fn a_head_or_tail_out_of_range_is_put_right() {
    let region = region();
    let mut producer = Producer::default();
    for (generation, garbage) in [(1, 1 << 63), (2, 1 << 40), (3, 99_999)] {
        region.head().store(garbage, SeqCst);
        region.tail().store(garbage / 3, SeqCst);
        assert_eq!(producer.waiting(&region), 0);
        push(&mut producer, &region, 9, generation);
        assert_eq!(claim(&region, owner(1)), claimed(&region, 9, generation));
    }
}

#[test]
fn exactly_one_takes_a_sleeper_down() {
    let region = region();
    for _ in 0..200 {
        fall_asleep(&region, owner(1));
        let won: usize = std::thread::scope(|scope| {
            let ringers = [0; 3].map(|_| scope.spawn(|| usize::from(wake_up(&region, owner(1)))));
            ringers
                .map(|ringer| ringer.join().expect("a ringer"))
                .iter()
                .sum()
        });
        assert_eq!(won, 1);
    }
}

/// Claims the oldest request and dies before it has moved the head.
fn claim_and_die(region: &Region, worker: u32) -> Option<(Slot, Generation)> {
    let head = region.head().load(Acquire);
    if head == region.tail().load(Acquire) {
        return None;
    }
    let entry = region.entry(head).load(Acquire);
    let slot = region.layout().slot(entry & 0xFFFF)?;
    let generation = Generation::new((entry >> 16) as u32);
    let ready = State::Ready(generation).pack();
    let running = State::Running(generation, owner(worker)).pack();
    let swapped = region
        .state(slot)
        .compare_exchange(ready, running, SeqCst, SeqCst);
    swapped.is_ok().then_some((slot, generation))
}

#[test]
fn every_request_is_claimed_exactly_once_while_consumers_die() {
    const PUSHES: u64 = 20_000;
    let region = region();
    let slots = region.layout().slots() as u64;
    let over = AtomicBool::new(false);
    let (give, given) = std::sync::mpsc::channel();
    let mut claims: HashMap<(u64, u32), u32> = HashMap::new();
    std::thread::scope(|scope| {
        for worker in 0..3 {
            let (give, region, over) = (give.clone(), &region, &over);
            scope.spawn(move || {
                for turn in 0u64.. {
                    let claimed = match turn % 7 {
                        6 => claim_and_die(region, worker),
                        _ => claim(region, owner(worker)),
                    };
                    match claimed {
                        Some((slot, generation)) => give
                            .send((slot.index() as u64, generation.bits()))
                            .expect("a test"),
                        None if over.load(Acquire) => return,
                        None => std::thread::yield_now(),
                    }
                }
            });
        }
        let mut producer = Producer::default();
        (0..slots).for_each(|number| push(&mut producer, &region, number, 0));
        for _ in 0..PUSHES {
            let (slot, generation) = given.recv().expect("a claim");
            *claims.entry((slot, generation)).or_default() += 1;
            push(&mut producer, &region, slot, generation + 1);
        }
        for _ in 0..slots {
            *claims.entry(given.recv().expect("a claim")).or_default() += 1;
        }
        over.store(true, SeqCst);
    });
    assert!(claims.values().all(|times| *times == 1));
    assert_eq!(claims.len() as u64, PUSHES + slots);
    assert!(given.try_recv().is_err());
}
