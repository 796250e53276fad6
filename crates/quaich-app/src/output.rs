//! What a worker prints, cut into lines.
//!
//! One task per worker reads its pipe until the last holder of the other end is gone. It reads
//! whatever happens, so that a worker never blocks on a print.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;

/// Longer lines are cut into several.
pub const LONGEST_LINE: usize = 8 * 1024;

/// Reads `pipe` to its end and hands each line, without its line end, to `line`.
pub async fn read_lines(pipe: OwnedFd, mut line: impl FnMut(&[u8])) -> io::Result<()> {
    let mut pipe = Receiver::from_owned_fd(pipe)?;
    let mut lines = Lines::default();
    let mut chunk = vec![0; LONGEST_LINE];
    loop {
        let length = pipe.read(&mut chunk).await?;
        if length == 0 {
            lines.finish(&mut line);
            return Ok(());
        }
        lines.push(&chunk[..length], &mut line);
    }
}

/// The beginning of a line whose end has not come yet.
#[derive(Debug, Default)]
struct Lines {
    open: Vec<u8>,
}

impl Lines {
    fn push(&mut self, mut bytes: &[u8], line: &mut impl FnMut(&[u8])) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.extend(&bytes[..end], line);
            line(self.open.strip_suffix(b"\r").unwrap_or(&self.open));
            self.open.clear();
            bytes = &bytes[end + 1..];
        }
        self.extend(bytes, line);
    }

    fn extend(&mut self, mut bytes: &[u8], line: &mut impl FnMut(&[u8])) {
        while self.open.len() + bytes.len() > LONGEST_LINE {
            let (head, rest) = bytes.split_at(LONGEST_LINE - self.open.len());
            self.open.extend_from_slice(head);
            line(&self.open);
            self.open.clear();
            bytes = rest;
        }
        self.open.extend_from_slice(bytes);
    }

    fn finish(&mut self, line: &mut impl FnMut(&[u8])) {
        if !self.open.is_empty() {
            line(&self.open);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        let mut lines = Lines::default();
        let mut keep = |line: &[u8]| found.push(line.to_vec());
        for chunk in chunks {
            lines.push(chunk, &mut keep);
        }
        lines.finish(&mut keep);
        found
    }

    #[test]
    fn any_split_gives_the_same_lines() {
        let text = b"one\r\n\ntwo \xff\nlast";
        let whole = lines_of(&[text]);
        assert_eq!(whole, [&b"one"[..], b"", b"two \xff", b"last"]);
        for cut in 0..text.len() {
            assert_eq!(lines_of(&[&text[..cut], &text[cut..]]), whole);
        }
    }

    #[test]
    fn a_line_without_end_is_handed_out_in_pieces() {
        let long = vec![b'x'; LONGEST_LINE * 2 + 5];
        let sizes: Vec<_> = lines_of(&[&long]).iter().map(Vec::len).collect();
        assert_eq!(sizes, [LONGEST_LINE, LONGEST_LINE, 5]);
    }

    #[tokio::test]
    async fn the_last_line_comes_at_the_end_of_the_pipe() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        rustix::io::write(&writer, b"a\nb").unwrap();
        drop(writer);
        let mut found = Vec::new();
        read_lines(reader, |line| found.push(line.to_vec()))
            .await
            .unwrap();
        assert_eq!(found, [b"a", b"b"]);
    }
}
