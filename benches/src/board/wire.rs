//! The little HTTP that a board needs: one GET whose answer is read as it comes, chunk by chunk, event by event.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One event of a stream at most; a list of all calls in progress is the largest.
const EVENT_BYTES_MAX: usize = 64 << 20;

/// Read at once.
const READ_BYTES: usize = 64 << 10;

/// The body of one answer.
pub struct Body {
    stream: TcpStream,
    decoder: Decoder,
    buffer: Vec<u8>,
    scratch: Box<[u8]>,
}

/// Undoes chunked transfer coding.
#[derive(Debug, Default)]
struct Decoder {
    head: Vec<u8>,
    /// Bytes of the chunk still to come, with the line break behind it.
    left: usize,
    ended: bool,
}

impl Body {
    /// Asks for `path` and reads up to the body. Refuses everything but 200.
    pub async fn get(to: SocketAddr, path: &str, api_key: &str) -> Result<Body> {
        let mut stream = TcpStream::connect(to).await.with_context(|| format!("connect to {to}"))?;
        stream.set_nodelay(true)?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {to}\r\nAuthorization: Bearer {api_key}\r\nAccept-Encoding: identity\r\n\r\n");
        stream.write_all(request.as_bytes()).await.context("send request")?;
        let mut read = Vec::new();
        let head = loop {
            ensure!(stream.read_buf(&mut read).await? > 0, "GET {path}: the answer has no head");
            if let Some(end) = memchr::memmem::find(&read, b"\r\n\r\n") {
                break end + 4;
            }
        };
        let text = String::from_utf8_lossy(&read[..head]).to_ascii_lowercase();
        ensure!(
            text.starts_with("http/1.1 200"),
            "GET {path}: {}",
            text.lines().next().unwrap_or_default()
        );
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"))
            .and_then(|value| value.trim().parse::<usize>().ok());
        let mut body = Body {
            stream,
            decoder: Decoder::default(),
            buffer: Vec::new(),
            scratch: vec![0; READ_BYTES].into(),
        };
        let rest = &read[head..];
        match length {
            Some(length) => {
                body.buffer.extend_from_slice(rest);
                while body.buffer.len() < length {
                    ensure!(
                        body.stream.read_buf(&mut body.buffer).await? > 0,
                        "GET {path}: the answer is cut off"
                    );
                }
                body.decoder.ended = true;
            }
            None => body.decoder.take(rest, &mut body.buffer)?,
        }
        Ok(body)
    }

    /// The whole body.
    pub async fn whole(mut self) -> Result<Vec<u8>> {
        while self.more().await? {}
        Ok(self.buffer)
    }

    /// Waits until a whole event is there and hands it to `look`; false when the stream has ended.
    pub async fn event(&mut self, mut look: impl FnMut(&[u8])) -> Result<bool> {
        let mut searched = 0;
        loop {
            if let Some(end) = memchr::memmem::find(&self.buffer[searched..], b"\n\n") {
                let end = searched + end + 2;
                look(&self.buffer[..end]);
                self.buffer.drain(..end);
                return Ok(true);
            }
            // The last byte may be half of the end.
            searched = self.buffer.len().saturating_sub(1);
            ensure!(self.buffer.len() < EVENT_BYTES_MAX, "an event has no end");
            if !self.more().await? {
                return Ok(false);
            }
        }
    }

    async fn more(&mut self) -> Result<bool> {
        if self.decoder.ended {
            return Ok(false);
        }
        let count = self.stream.read(&mut self.scratch).await.context("read the stream")?;
        if count == 0 {
            bail!("the connection was closed in the middle of an answer");
        }
        self.decoder.take(&self.scratch[..count], &mut self.buffer)?;
        Ok(true)
    }
}

impl Decoder {
    fn take(&mut self, mut read: &[u8], into: &mut Vec<u8>) -> Result<()> {
        while !read.is_empty() && !self.ended {
            if self.left == 0 {
                let end = memchr::memchr(b'\n', read);
                let (line, rest) = read.split_at(end.map_or(read.len(), |end| end + 1));
                self.head.extend_from_slice(line);
                read = rest;
                if end.is_some() {
                    let text = std::str::from_utf8(&self.head).context("read a chunk's head")?.trim();
                    let size = usize::from_str_radix(text, 16).with_context(|| format!("read a chunk's size {text:?}"))?;
                    self.head.clear();
                    self.ended = size == 0;
                    self.left = size + 2;
                }
                continue;
            }
            let (part, rest) = read.split_at(self.left.min(read.len()));
            // The last two bytes are the line break.
            let data = part.len().min(self.left.saturating_sub(2));
            into.extend_from_slice(&part[..data]);
            self.left -= part.len();
            read = rest;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_joined_wherever_reads_are_cut() {
        let sent = b"a\r\nevent: boa\r\n3\r\nrd\n\r\n1\r\n\n\r\n0\r\n\r\n";
        for cut in 1..sent.len() {
            let (mut decoder, mut body) = (Decoder::default(), Vec::new());
            for part in sent.chunks(cut) {
                decoder.take(part, &mut body).unwrap();
            }
            assert_eq!(body, b"event: board\n\n");
            assert!(decoder.ended);
        }
    }

    #[test]
    fn a_chunk_without_a_size_is_refused() {
        assert!(Decoder::default().take(b"event\r\n", &mut Vec::new()).is_err());
    }
}
