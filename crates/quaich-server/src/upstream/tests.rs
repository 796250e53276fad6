//! Waiting for room, as the requests of one thread do.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use quaich_config::model::Balance;

use super::Upstream;
use super::balance::samples;
use super::group::{Group, Wish};
use crate::clock::Clock;
use crate::deadline::Deadlines;
use crate::error::Kind;
use crate::observe::counters::Counters;

/// Servers with room for one request each.
fn group(count: usize) -> Arc<Group> {
    samples::group(Balance::RoundRobin, &vec![1; count], |_, server| {
        server.max_conns = 1;
    })
}

fn upstream(group: &Arc<Group>) -> Upstream {
    let counters = Arc::new(Counters::default());
    let deadlines = Deadlines::new(Clock::of_thread());
    Upstream::new(group, b"secret", &deadlines, &counters)
}

fn poll<T>(future: impl Future<Output = T>) -> Poll<T> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_retry_waits_for_the_only_server_there_is() {
    let group = group(1);
    let held = group.choose(&Wish::default()).unwrap();
    let upstream = upstream(&group);
    let tried = [held.server().clone()];
    let wish = Wish {
        tried: &tried,
        ..Wish::default()
    };
    let mut retry = pin!(upstream.wait_on(&wish));
    assert!(poll(retry.as_mut()).is_pending());
    drop(held);
    assert!(matches!(poll(retry.as_mut()), Poll::Ready(Ok(_))));
}

#[test]
fn room_that_became_free_before_two_began_to_wait_is_given_to_both() {
    let group = group(2);
    let upstream = upstream(&group);
    let wish = Wish::default();
    // Both have found no room, and it became free since.
    let places = [group.enter(&wish).unwrap(), group.enter(&wish).unwrap()];
    for place in &places {
        assert!(upstream.look_again(place, &wish).unwrap().is_none());
    }
    let granted = places.map(|place| match poll(place) {
        Poll::Ready(slot) => slot.unwrap(),
        Poll::Pending => panic!("there is room"),
    });
    assert_ne!(granted[0].server().name(), granted[1].server().name());
}

#[test]
fn room_that_became_free_before_is_given_also_when_the_first_looks_last() {
    let group = group(2);
    let upstream = upstream(&group);
    let wish = Wish::default();
    let (first, second) = (group.enter(&wish).unwrap(), group.enter(&wish).unwrap());
    assert!(upstream.look_again(&second, &wish).unwrap().is_none());
    let Poll::Ready(Some(_second)) = poll(second) else {
        panic!("there is room");
    };
    // It left meanwhile; its room is there for others.
    drop(first);
    assert!(group.choose(&wish).is_ok());
}

#[test]
fn who_finds_the_queue_full_has_not_waited() {
    let mut settings = group(1).settings().clone();
    settings.max_queue = 0;
    let group = Arc::new(Group::new(&settings, &Default::default(), 1));
    let _held = group.choose(&Wish::default()).unwrap();
    let upstream = upstream(&group);
    let Poll::Ready(Err(error)) = poll(upstream.wait_on(&Wish::default())) else {
        panic!("there is room");
    };
    assert_eq!(error.kind, Kind::QueueFull);
    assert_eq!(upstream.counters.upstream_queued.value(), 0);
}
