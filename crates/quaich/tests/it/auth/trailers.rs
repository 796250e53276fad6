//! The last section of a request is believed as little as the first: some servers join the two.

use std::sync::Mutex;
use std::sync::mpsc::channel;

use quaich_testkit::Quaich;
use quaich_testkit::h2::{Block, Event, H2Client, H2Origin};

use super::folder;

#[test]
fn nobody_can_be_claimed_in_trailers() {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let origin = H2Origin::answering(move |peer, request| {
        loop {
            match peer.line.of_stream(request.stream) {
                Event::Data { end: false, .. } => {}
                Event::Headers { fields, .. } => {
                    let names = fields.into_iter().map(|(name, _)| name);
                    let _ = tell.lock().unwrap().send(names.collect::<Vec<_>>());
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
        peer.answer(request.stream, "ok");
    });
    for (trust, expected) in [
        ("", &["x-sum"][..]),
        ("trust = [\"127.0.0.1\"]\n", &["x-sum", "x-forwarded-user"]),
    ] {
        let config = format!(
            "{trust}[auth.staff]\nbasic = {{ users = \"users\" }}\npass = {{ user = \"X-Staff\" }}\n\
             [site.main]\nproxy = \"{}\"\n",
            origin.url()
        );
        let quaich = Quaich::serve(folder(), &config);
        let mut client = H2Client::over(quaich.raw());
        let block = client.request("POST", "/").field("te", "trailers");
        let stream = client.begin(&block, false);
        client.data(stream, b"body", false);
        let trailers = Block::new()
            .field("x-staff", "root")
            .field("x-sum", "42")
            .field("x-real-ip", "6.6.6.6")
            .field("x-forwarded-for", "6.6.6.6")
            .field("forwarded", "for=6.6.6.6")
            .field("x-forwarded-user", "root");
        client.send_block(stream, &trailers, true);
        assert_eq!(client.response(stream).status, 200);
        assert_eq!(told.recv().unwrap(), expected, "{trust}");
    }
}
