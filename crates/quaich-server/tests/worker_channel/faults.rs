//! Clients that leave, workers that fail, hang or stop, queues that are full.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quaich_proto::worker::frame::ErrorKind;
use quaich_proto::worker::message::Body;
use quaich_server::upstream::wire::worker::{Failure, SubmitError, Timeouts, WorkerReport};
use quaich_worker::channel::{Call, Gone, Part};

use crate::rig::{LONG, QUEUE, echo, head, read_whole, with_front};

/// Serves when told to.
fn gated(gate: Receiver<()>) -> impl Fn(Call) + Clone + Send + 'static {
    let gate = Arc::new(Mutex::new(gate));
    move |call| {
        // Closed: nobody waits any more.
        let _ = gate.lock().expect("lock").recv();
        echo(call);
    }
}

#[test]
fn a_full_queue_refuses_and_has_room_again() {
    with_front(1, async |rig| {
        let mut calls: Vec<_> = (0..QUEUE).map(|_| rig.submit("/")).collect();
        let refused = rig.try_submit("/", Body::None, None, LONG);
        assert_eq!(refused.err(), Some(SubmitError::QueueFull));
        calls.pop();
        let call = rig.try_submit("/", Body::None, None, LONG);
        assert!(call.is_ok());
        let stats = rig.channel.stats();
        assert_eq!(stats.in_flight, QUEUE as u64);
    });
}

#[test]
fn clients_that_come_and_go_while_no_worker_is_up_do_not_fill_the_queue() {
    with_front(1, async |rig| {
        let mut first = rig.submit("/first");
        let mut second = rig.submit("/second");
        for _ in 0..5000 {
            drop(rig.submit("/gone"));
        }
        let mut last = rig.submit("/last");
        let order = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&order);
        let worker = rig.worker(0, 1, move |call| {
            seen.lock()
                .expect("lock")
                .push(call.request().expect("valid").meta.path_info.to_vec());
            echo(call);
        });
        for call in [&mut first, &mut second, &mut last] {
            read_whole(call).await.expect("an answer");
        }
        let order = order.lock().expect("lock");
        assert_eq!(*order, [&b"/first"[..], b"/second", b"/last"]);
        worker.stop();
    });
}

#[test]
fn a_request_that_waits_too_long_fails_alone() {
    with_front(1, async |rig| {
        let timeouts = Timeouts {
            queue: Duration::from_millis(60),
            ..LONG
        };
        let mut call = rig
            .try_submit("/", Body::None, None, timeouts)
            .expect("queued");
        assert_eq!(read_whole(&mut call).await, Err(Failure::QueueTimeout));
        let worker = rig.worker(0, 1, echo);
        assert_eq!(rig.ask("/after").await, Ok((200, b"/after".to_vec())));
        worker.stop();
    });
}

#[test]
fn a_request_that_runs_too_long_fails_and_its_worker_is_reported() {
    with_front(1, async |rig| {
        let (open, gate) = channel();
        let worker = rig.worker(7, 1, gated(gate));
        let timeouts = Timeouts {
            run: Duration::from_millis(60),
            ..LONG
        };
        let mut call = rig
            .try_submit("/slow", Body::None, None, timeouts)
            .expect("queued");
        assert_eq!(read_whole(&mut call).await, Err(Failure::Timeout));
        let report = rig.report().await;
        let WorkerReport::Stuck {
            id: 7,
            method,
            path,
            ..
        } = report
        else {
            panic!("{report:?}")
        };
        assert_eq!((&method[..], &path[..]), ("GET", "/slow"));
        assert_eq!(rig.channel.stats().in_flight, 1);
        open.send(()).expect("a worker");
        rig.until(|| rig.channel.stats().in_flight == 0).await;
        drop(open);
        assert_eq!(rig.ask("/after").await, Ok((200, b"/after".to_vec())));
        worker.stop();
    });
}

#[test]
fn a_worker_learns_that_its_client_left_also_while_it_waits_for_room() {
    with_front(1, async |rig| {
        let (tell, told) = tokio::sync::mpsc::unbounded_channel();
        let worker = rig.worker(0, 1, move |mut call| {
            if call.send(&[Part::Head(&head(200))]).is_ok() {
                tell.send(None).expect("a test");
                let sent = loop {
                    if let Err(gone) = call.send(&[Part::Data(&[0; 5000])]) {
                        break gone;
                    }
                };
                assert!(call.cancelled());
                tell.send(Some(sent)).expect("a test");
            }
        });
        let mut told = told;
        let call = rig.submit("/");
        assert_eq!(told.recv().await, Some(None));
        drop(call);
        assert_eq!(told.recv().await, Some(Some(Gone)));
        rig.until(|| rig.channel.stats().in_flight == 0).await;
        worker.stop();
    });
}

#[test]
fn an_app_error_comes_with_its_text_before_and_after_the_head() {
    with_front(1, async |rig| {
        let worker = rig.worker(0, 1, |mut call| {
            if call.request().expect("valid").meta.path_info == b"/late" {
                call.send(&[Part::Head(&head(200)), Part::Data(b"half")])
                    .expect("room");
            }
            call.fail(ErrorKind::Exception, "it raised");
        });
        let error = Failure::App(ErrorKind::Exception, "it raised".into());
        assert_eq!(rig.ask("/early").await, Err(error.clone()));
        assert_eq!(rig.ask("/late").await, Err(error));
        worker.stop();
    });
}

#[test]
fn a_call_that_the_worker_drops_fails() {
    with_front(1, async |rig| {
        let worker = rig.worker(0, 1, drop);
        let answer = rig.ask("/").await;
        assert!(
            matches!(answer, Err(Failure::App(ErrorKind::Worker, _))),
            "{answer:?}"
        );
        worker.stop();
    });
}

#[test]
fn requests_of_a_worker_that_stops_go_to_another() {
    with_front(1, async |rig| {
        let (open, gate) = channel();
        let first = rig.worker(0, 1, gated(gate));
        let mut running = rig.submit("/running");
        let state = rig.raw();
        rig.until(|| !quaich_proto::worker::queue::waits(&state))
            .await;
        let mut waiting = rig.submit("/waiting");
        let second = rig.worker(1, 1, echo);
        assert_eq!(
            read_whole(&mut waiting).await,
            Ok((200, b"/waiting".to_vec()))
        );
        first.channel.stop_taking();
        open.send(()).expect("a worker");
        assert_eq!(
            read_whole(&mut running).await,
            Ok((200, b"/running".to_vec()))
        );
        first.stop();
        assert_eq!(rig.ask("/after").await, Ok((200, b"/after".to_vec())));
        second.stop();
    });
}

#[test]
fn a_busy_process_gets_a_second_thread_when_the_queue_stands_still() {
    with_front(2, async |rig| {
        let (open, gate) = channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let worker = rig.worker(0, 2, move |call| {
            if call.request().expect("valid").meta.path_info == b"/stuck" {
                let _ = gate.lock().expect("lock").recv();
            }
            echo(call);
        });
        let mut stuck = rig.submit("/stuck");
        assert_eq!(rig.ask("/quick").await, Ok((200, b"/quick".to_vec())));
        drop(open);
        assert_eq!(read_whole(&mut stuck).await, Ok((200, b"/stuck".to_vec())));
        worker.stop();
    });
}

#[test]
fn a_front_that_goes_closes_the_channel_of_its_workers() {
    let mut kept = None;
    with_front(1, async |rig| {
        let worker = rig.worker(0, 1, echo);
        assert_eq!(rig.ask("/").await, Ok((200, b"/".to_vec())));
        kept = Some(worker);
    });
    let worker = kept.expect("a worker");
    let channel = Arc::clone(&worker.channel);
    // Not stopped: its threads end because the sockets do.
    worker.join();
    assert!(channel.closed());
}
