//! What comes back, whole and in the right order, whatever its size.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use quaich_proto::worker::message::Body;
use quaich_server::upstream::wire::worker::SubmitError;
use quaich_worker::channel::Part;

use crate::rig::{LONG, echo, head, read_whole, with_front};

#[test]
fn a_request_gets_its_own_answer() {
    with_front(1, async |rig| {
        let worker = rig.worker(0, 1, echo);
        for n in 0..1000 {
            let path = format!("/{n}");
            assert_eq!(rig.ask(&path).await, Ok((200, path.into_bytes())));
        }
        let stats = rig.channel.stats();
        assert_eq!((stats.served, stats.in_flight, stats.lost), (1000, 0, 0));
        worker.stop();
    });
}

#[test]
fn many_at_once_are_each_served_once_by_many_threads() {
    with_front(2, async |rig| {
        let served = Arc::new(Mutex::new(Vec::new()));
        let workers: Vec<_> = (0..3)
            .map(|id| {
                let served = Arc::clone(&served);
                rig.worker(id, 2, move |call| {
                    let path = call.request().expect("valid").meta.path_info.to_vec();
                    served.lock().expect("lock").push(path);
                    echo(call);
                })
            })
            .collect();
        let clients = (0..64).map(|client| {
            let rig = rig.clone();
            tokio::task::spawn_local(async move {
                for n in 0..200 {
                    let path = format!("/{client}/{n}");
                    assert_eq!(rig.ask(&path).await, Ok((200, path.into_bytes())));
                }
            })
        });
        for client in clients.collect::<Vec<_>>() {
            client.await.expect("a client");
        }
        let served = served.lock().expect("lock");
        assert_eq!(served.len(), 64 * 200);
        assert_eq!(served.iter().collect::<HashSet<_>>().len(), 64 * 200);
        workers.into_iter().for_each(crate::rig::Worker::stop);
    });
}

#[test]
fn waiting_requests_are_taken_oldest_first() {
    with_front(1, async |rig| {
        let mut calls: Vec<_> = (0..50).map(|n| rig.submit(&format!("/{n}"))).collect();
        drop(calls.remove(25));
        let order = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&order);
        let worker = rig.worker(0, 1, move |call| {
            let path = call.request().expect("valid").meta.path_info.to_vec();
            seen.lock()
                .expect("lock")
                .push(String::from_utf8(path).expect("text"));
            echo(call);
        });
        for call in &mut calls {
            read_whole(call).await.expect("an answer");
        }
        let expected: Vec<_> = (0..50)
            .filter(|n| *n != 25)
            .map(|n| format!("/{n}"))
            .collect();
        assert_eq!(*order.lock().expect("lock"), expected);
        worker.stop();
    });
}

#[test]
fn a_body_larger_than_the_ring_waits_for_its_reader() {
    with_front(1, async |rig| {
        let sent = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&sent);
        let worker = rig.worker(0, 1, move |mut call| {
            call.send(&[Part::Head(&head(200))]).expect("room");
            for n in 0..1000usize {
                call.send(&[Part::Data(&[n as u8; 1003])]).expect("reader");
                count.fetch_add(1, Ordering::SeqCst);
            }
            call.finish().expect("reader");
        });
        let mut call = rig.submit("/big");
        rig.until(|| sent.load(Ordering::SeqCst) > 50).await;
        assert!(sent.load(Ordering::SeqCst) * 1003 < 64 * 1024);
        let (mut first, mut body) = (Vec::new(), Vec::new());
        while !call
            .read(&mut first, &mut body, 777)
            .await
            .expect("an answer")
            .end
        {}
        let expected: Vec<u8> = (0..1000usize).flat_map(|n| [n as u8; 1003]).collect();
        assert!(body == expected, "{} bytes", body.len());
        worker.stop();
    });
}

#[test]
fn a_large_request_body_travels_as_a_file() {
    with_front(2, async |rig| {
        let worker = rig.worker(0, 2, |mut call| {
            let mut text = String::new();
            let mut file = File::from(call.body_file().expect("the body"));
            file.rewind().expect("a file");
            file.read_to_string(&mut text).expect("text");
            call.respond(&head(201), text.as_bytes()).expect("a reader");
        });
        let mut calls = Vec::new();
        for n in 0..20 {
            let mut file = tempfile::tempfile().expect("a file");
            write!(file, "body {n}").expect("written");
            let body = Body::File { len: 6 };
            let call = rig.try_submit("/", body, Some(OwnedFd::from(file)), LONG);
            calls.push(call.expect("queued"));
        }
        for (n, call) in calls.iter_mut().enumerate() {
            assert_eq!(
                read_whole(call).await,
                Ok((201, format!("body {n}").into_bytes()))
            );
        }
        worker.stop();
    });
}

#[test]
fn an_answer_may_be_a_range_of_a_file() {
    with_front(1, async |rig| {
        let worker = rig.worker(0, 1, |mut call| {
            let file = tempfile::tempfile().expect("a file");
            call.send(&[Part::Head(&head(200)), Part::Data(b"before")])
                .expect("room");
            call.send_file(file.as_fd(), 5, 9).expect("a reader");
            call.send(&[Part::Data(b"after")]).expect("room");
            call.finish().expect("a reader");
        });
        let mut call = rig.submit("/");
        let (mut first, mut body, mut files) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            let answer = call
                .read(&mut first, &mut body, 1000)
                .await
                .expect("an answer");
            if let Some(file) = answer.file {
                files.push((body.len(), file.offset, file.len));
            }
            if answer.end {
                break;
            }
        }
        assert_eq!(
            (&body[..], &files[..]),
            (&b"beforeafter"[..], &[(6, 5, 9)][..])
        );
        worker.stop();
    });
}

#[test]
fn what_is_too_big_for_a_slot_is_refused() {
    with_front(1, async |rig| {
        let body = vec![0; 65_536];
        let refused = rig.try_submit("/", Body::Inline(&body), None, LONG);
        assert_eq!(refused.err(), Some(SubmitError::TooBig));
        let worker = rig.worker(0, 1, |call| {
            let body = call.request().expect("valid").meta.body;
            let Body::Inline(bytes) = body else {
                panic!("inline")
            };
            let text = format!("{} {}", bytes.len(), bytes.iter().all(|byte| *byte == 0));
            call.respond(&head(200), text.as_bytes()).expect("a reader");
        });
        let mut call = rig
            .try_submit("/", Body::Inline(&body[..65_000]), None, LONG)
            .expect("queued");
        assert_eq!(
            read_whole(&mut call).await,
            Ok((200, b"65000 true".to_vec()))
        );
        worker.stop();
    });
}
