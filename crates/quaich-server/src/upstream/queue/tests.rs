//! The queue of a group of two servers, without sockets.

use std::pin::pin;

use quaich_config::model::Balance;

use super::*;
use crate::upstream::balance::samples;
use crate::upstream::group::Group;
use crate::upstream::server::Mode;

/// Two servers with room for one request each.
fn group() -> Arc<Group> {
    samples::group(Balance::RoundRobin, &[1, 1], |_, server| {
        server.max_conns = 1;
    })
}

fn poll(place: &mut Place<'_>) -> Option<Option<Slot>> {
    let mut cx = Context::from_waker(Waker::noop());
    match pin!(place).poll(&mut cx) {
        Poll::Ready(slot) => Some(slot),
        Poll::Pending => None,
    }
}

fn from(client: u8) -> Wish<'static> {
    Wish {
        client: Some([10, 0, 0, client].into()),
        ..Wish::default()
    }
}

#[test]
fn room_goes_to_the_next_one_that_takes_the_server() {
    let group = group();
    let (first, second) = (
        group.choose(&from(1)).unwrap(),
        group.choose(&from(1)).unwrap(),
    );
    let known = second.server().clone();
    let choosy = Wish {
        known: Some(&known),
        ..from(1)
    };
    let queue = group.queue();
    let mut choosy = group.enter(&choosy).unwrap();
    let mut easy = group.enter(&from(2)).unwrap();
    assert!(poll(&mut choosy).is_none() && poll(&mut easy).is_none());
    assert_eq!(queue.length(), 2);
    // It belongs to the other one.
    drop(first);
    let got = poll(&mut easy).flatten().expect("room");
    assert!(poll(&mut choosy).is_none());
    drop(got);
    assert!(poll(&mut choosy).is_none());
    drop(second);
    let got = poll(&mut choosy).flatten().expect("room");
    assert!(Arc::ptr_eq(got.server(), &known));
    assert_eq!(queue.length(), 0);
}

#[test]
fn room_that_nobody_takes_any_more_goes_to_the_next() {
    let group = group();
    let held = [from(1), from(1)].map(|wish| group.choose(&wish).unwrap());
    let queue = group.queue();
    let granted = group.enter(&from(2)).unwrap();
    let mut next = group.enter(&from(3)).unwrap();
    let left = group.enter(&from(2)).unwrap();
    drop(left);
    assert_eq!(queue.length(), 2);
    let [one, other] = held;
    drop(one);
    assert_eq!(queue.length(), 1);
    drop(granted);
    assert!(poll(&mut next).flatten().is_some());
    drop(other);
    assert_eq!(queue.length(), 0);
}

#[test]
fn who_waits_for_a_server_that_goes_chooses_anew() {
    let group = group();
    let held = group.choose(&from(1)).unwrap();
    let wish = Wish {
        known: Some(held.server()),
        ..from(1)
    };
    let mut place = group.enter(&wish).unwrap();
    assert!(poll(&mut place).is_none());
    held.server().set_mode(Mode::Maint);
    group.changed();
    assert!(matches!(poll(&mut place), Some(None)));
    let other = group.choose(&wish).unwrap();
    assert!(!Arc::ptr_eq(other.server(), held.server()));
}

#[test]
fn a_server_that_goes_before_its_client_waits_is_not_waited_for() {
    let group = group();
    let held = [from(1), from(1)].map(|wish| group.choose(&wish).unwrap());
    let [gone, other] = held;
    gone.server().set_mode(Mode::Maint);
    group.changed();
    let wish = Wish {
        known: Some(gone.server()),
        ..from(1)
    };
    let mut place = group.enter(&wish).unwrap();
    assert!(poll(&mut place).is_none());
    drop(other);
    assert!(poll(&mut place).flatten().is_some());
}

#[test]
fn who_has_tried_all_servers_gets_one_of_them_again() {
    let group = group();
    let held = [from(1), from(1)].map(|wish| group.choose(&wish).unwrap());
    let both = held.each_ref().map(|slot| slot.server().clone());
    let place = |tried| {
        let wish = Wish { tried, ..from(1) };
        group.enter(&wish).unwrap()
    };
    let (mut all, mut one) = (place(&both[..]), place(&both[..1]));
    assert!(poll(&mut all).is_none() && poll(&mut one).is_none());
    let [first, second] = held;
    drop(first);
    let got = poll(&mut all).flatten().expect("room");
    drop(got);
    assert!(poll(&mut one).is_none(), "another one is there");
    drop(second);
    let got = poll(&mut one).flatten().expect("room");
    assert!(Arc::ptr_eq(got.server(), &both[1]));
}

#[test]
fn whoever_leaves_is_forgotten_and_clients_take_turns() {
    let group = group();
    let held = [from(1), from(1)].map(|wish| group.choose(&wish).unwrap());
    let many: Vec<_> = (0..2000_u32)
        .map(|number| {
            let client = match number % 2 {
                0 => [10, 0, 0, 1],
                _ => number.to_be_bytes(),
            };
            let wish = Wish {
                client: Some(client.into()),
                ..Wish::default()
            };
            group.enter(&wish)
        })
        .collect();
    let many: Vec<_> = many.into_iter().flatten().collect();
    assert_eq!((many.len(), group.queue().length()), (1000, 1000));
    drop(many);
    assert_eq!(group.queue().length(), 0);
    let mut busy = [1, 1].map(|client| group.enter(&from(client)).unwrap());
    let mut other = group.enter(&from(2)).unwrap();
    let [first, second] = held;
    drop((first, second));
    assert!(
        poll(&mut busy[1]).is_none(),
        "the other client has its turn first"
    );
    assert!(poll(&mut busy[0]).is_some() && poll(&mut other).is_some());
}
