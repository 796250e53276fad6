//! From spawn to exit: loading, failing to load, stopping, retiring, dumping stacks.

use std::path::PathBuf;

use quaich_proto::worker::boot::{Failed, FailureKind, FromWorker, Start, Target, ToWorker};

use crate::front::{Event, Front, Request, Worker, apps, start};

fn failure(start: Start) -> (Worker, Failed) {
    let mut worker = Worker::spawn(start);
    match worker.hear() {
        Some(FromWorker::Failed(failed)) => {
            assert_eq!(worker.child.wait().expect("ended").code(), Some(1));
            (worker, failed)
        }
        other => panic!("{other:?}"),
    }
}

fn ready(start: Start) -> (Worker, String) {
    let worker = Worker::spawn(start);
    match worker.hear() {
        Some(FromWorker::Ready { python, callable }) => {
            assert!(python.starts_with("CPython 3."), "{python}");
            (worker, callable)
        }
        other => panic!("{other:?}"),
    }
}

fn file(name: &str, callable: Option<&str>) -> Start {
    let target = Target::File {
        path: apps().join(name),
        callable: callable.map(str::to_owned),
    };
    Start {
        target,
        dir: PathBuf::from("/"),
        ..start("", None)
    }
}

#[test]
fn the_application_is_found_by_its_usual_names() {
    assert_eq!(ready(start("rules", None)).1, "rules:application");
    assert_eq!(ready(start("latin", None)).1, "latin:app");
    assert_eq!(
        ready(start("loads", Some("nested.app"))).1,
        "loads:nested.app"
    );
    assert_eq!(
        ready(start("loads", Some("create_app()"))).1,
        "loads:create_app()"
    );
    let factory = Start {
        factory: true,
        ..start("loads", Some("create_app"))
    };
    assert_eq!(ready(factory).1, "loads:create_app()");
    assert_eq!(ready(file("latin.py", None)).1, "latin:app");
    assert_eq!(ready(file("folder/json.py", None)).1, "quaich_app:app");
}

#[test]
fn an_import_error_shows_the_frames_of_the_user_and_the_surroundings() {
    let (_worker, failed) = failure(start("broken", None));
    assert_eq!(failed.kind, FailureKind::Import);
    assert_eq!(
        failed.message,
        "importing broken raised ZeroDivisionError: division by zero"
    );
    assert!(
        failed.traceback.contains("broken.py\", line 5"),
        "{}",
        failed.traceback
    );
    assert!(
        !failed.traceback.contains("importlib"),
        "{}",
        failed.traceback
    );
    assert!(
        !failed.traceback.contains("quaich boot"),
        "{}",
        failed.traceback
    );
    assert!(failed.python.contains("python"), "{}", failed.python);
    assert!(failed.version.starts_with("3."), "{}", failed.version);
    assert_eq!(failed.dir, apps().to_str().expect("text"));
    assert_eq!(failed.path.first(), Some(&failed.dir));
}

fn fails(start: Start, kind: FailureKind, message: &str) {
    let (_worker, failed) = failure(start);
    assert_eq!(failed.kind, kind, "{}", failed.message);
    assert!(failed.message.contains(message), "{}", failed.message);
}

#[test]
fn each_way_not_to_import_has_its_own_sentence() {
    use FailureKind::{Import, Setup};
    fails(
        start("missing.part", None),
        Import,
        "there is no module named 'missing'",
    );
    fails(
        start("imports_missing", None),
        Import,
        "No module named 'not_there'",
    );
    fails(start("syntax", None), Import, "SyntaxError");
    fails(start("exits", None), Import, "SystemExit: 3");
    fails(file("none.py", None), Import, "there is no file");
    let nowhere = PathBuf::from("/nonexistent");
    let start = Start {
        dir: nowhere,
        ..start("rules", None)
    };
    fails(start, Setup, "cannot use the working directory");
}

#[test]
fn each_object_that_is_no_application_has_its_own_sentence() {
    use FailureKind::{Asgi, Callable, Factory, NotWsgi};
    for (callable, factory, kind, message) in [
        (None, false, Callable, "neither `application` nor `app`"),
        (
            Some("creat_app"),
            false,
            Callable,
            "did you mean 'create_app'?",
        ),
        (
            Some("raises"),
            true,
            Factory,
            "raises() raised KeyError: 'SETTING'",
        ),
        (Some("gives_none"), true, NotWsgi, "gives_none() is None"),
        (Some("number"), false, NotWsgi, "number is of type int"),
        (Some("create_app"), false, NotWsgi, "say create_app()"),
        (Some("asgi"), false, Asgi, "this version serves WSGI only"),
        (Some("asgi_object"), false, Asgi, "is an ASGI application"),
    ] {
        fails(
            Start {
                factory,
                ..start("loads", callable)
            },
            kind,
            message,
        );
    }
}

#[test]
fn a_graceful_stop_lets_the_running_request_end_and_runs_exit_handlers() {
    let (mut worker, _) = ready(Start {
        threads: 2,
        ..start("rules", None)
    });
    let mut front = Front::attach(&worker);
    let mut sleeping = front.submit(&Request::get("/sleep"));
    while !front.ask(&Request::get("/events")).text().contains("in") {}
    let mut opening = front.submit(&Request::get("/gate"));
    assert!(matches!(front.next(&mut opening), Event::Head(_)));
    worker.tell(&ToWorker::Stop { graceful: true }, &[]);
    assert!(matches!(front.next(&mut sleeping), Event::Head(_)));
    assert_eq!(front.next(&mut sleeping), Event::Data(b"woken".to_vec()));
    assert_eq!(front.next(&mut sleeping), Event::End);
    let Some(FromWorker::Bye { reason, .. }) = worker.hear() else {
        panic!("no Bye")
    };
    assert_eq!(reason, "");
    assert!(worker.child.wait().expect("ended").success());
    worker.wait_for_line("at exit");
}

#[test]
fn a_quick_stop_and_a_lost_supervisor_end_the_process_at_once() {
    let (mut worker, _) = ready(start("rules", None));
    let mut front = Front::attach(&worker);
    let _stuck = front.submit(&Request::get("/sleep"));
    worker.tell(&ToWorker::Stop { graceful: false }, &[]);
    assert!(matches!(worker.hear(), Some(FromWorker::Bye { .. })));
    assert!(worker.child.wait().expect("ended").success());

    let (worker, _) = ready(start("rules", None));
    assert_eq!(worker.lost().code(), Some(1));
}

#[test]
fn terminal_signals_do_not_disturb_a_worker_but_reach_its_children() {
    let (worker, _) = ready(start("rules", None));
    let mut front = Front::attach(&worker);
    let pid = rustix::process::Pid::from_child(&worker.child);
    for signal in [rustix::process::Signal::INT, rustix::process::Signal::TERM] {
        rustix::process::kill_process(pid, signal).expect("alive");
    }
    assert_eq!(front.ask(&Request::get("/")).text(), "hello\n");
    assert_eq!(front.ask(&Request::get("/terminate_child")).text(), "-15");
}

#[test]
fn a_worker_that_has_served_its_share_says_so_and_serves_on() {
    let (worker, _) = ready(Start {
        max_requests: 2,
        ..start("rules", None)
    });
    let mut front = Front::attach(&worker);
    for _ in 0..3 {
        assert_eq!(front.ask(&Request::get("/")).text(), "hello\n");
    }
    assert_eq!(worker.hear(), Some(FromWorker::Retiring { requests: 2 }));
}

#[test]
fn an_application_that_exits_takes_the_worker_with_it_after_its_answer() {
    let (mut worker, _) = ready(start("rules", None));
    let mut front = Front::attach(&worker);
    let answer = front.ask(&Request::get("/exit"));
    assert!(answer.error.is_some());
    let Some(FromWorker::Bye { requests, reason }) = worker.hear() else {
        panic!("no Bye")
    };
    assert_eq!(
        (requests, reason.as_str()),
        (1, "the application asked the process to exit")
    );
    assert!(worker.child.wait().expect("ended").success());
}

#[test]
fn stacks_are_dumped_even_when_the_application_keeps_the_gil() {
    let (worker, _) = ready(start("rules", None));
    let mut front = Front::attach(&worker);
    let _stuck = front.submit(&Request::get("/keep_gil"));
    worker.wait_for_line("keeping the GIL");
    worker.tell(&ToWorker::DumpStacks, &[]);
    worker.wait_for_line("in on_keep_gil");
}

#[test]
fn a_new_front_is_served_when_the_former_is_gone() {
    let (worker, _) = ready(Start {
        threads: 2,
        ..start("rules", None)
    });
    let mut front = Front::attach(&worker);
    let pid = front.ask(&Request::get("/getpid")).text();
    drop(front);
    let mut front = Front::attach(&worker);
    assert_eq!(front.ask(&Request::get("/getpid")).text(), pid);
}
