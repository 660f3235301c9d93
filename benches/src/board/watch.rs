//! Open boards: each reads its stream as a browser does and notes when it first shows what.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use memchr::memmem::{Finder, find};
use tokio::sync::watch;

use super::script::said;
use super::wire::Body;

/// What is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum View {
    /// A wallboard of one business, or of all.
    Board { business: Option<usize> },
    /// Calls in progress.
    Calls,
    /// One call with its transcript.
    Call { call: usize },
}

/// A marked event as a screen shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mark {
    /// The `turn`-th marked call of a business.
    Begins { business: usize, turn: usize },
    /// The `turn`-th turn of a followed call.
    Says { call: usize, turn: usize },
}

/// A marked call that lists of calls wait for.
#[derive(Debug, Clone)]
pub struct Awaited {
    /// What it is.
    pub mark: Mark,
    /// When it is due.
    pub due: Instant,
    /// Its id.
    pub id: String,
}

/// What all readers share.
pub struct Screens {
    /// Where boards are.
    pub site: SocketAddr,
    /// Opens them.
    pub api_key: String,
    /// Marked agents by business.
    pub agents: Vec<String>,
    /// Marked calls in order of time; comes when the script is written, after the streams are open.
    pub awaited: watch::Receiver<Arc<Vec<Awaited>>>,
    /// Deliveries so far.
    pub delivered: AtomicU64,
    /// Messages with a state, and all their bytes.
    pub frames: AtomicU64,
    /// Bytes of these.
    pub bytes: AtomicU64,
    /// Streams that have their first state.
    pub open: AtomicU64,
}

/// What one screen showed.
pub struct Shown {
    /// Which.
    pub view: View,
    /// When it first showed what.
    pub deliveries: Vec<(Mark, Instant)>,
}

/// Looks into the messages of one stream.
struct Look {
    view: View,
    /// Marked agents that this board can show: business, pattern, calls seen.
    agents: Vec<(usize, Finder<'static>, usize)>,
    awaited: Arc<Vec<Awaited>>,
    /// Places of awaited calls that are due and not seen.
    missing: Vec<usize>,
    next: usize,
    turn: usize,
    deliveries: Vec<(Mark, Instant)>,
}

/// Follows one stream until `stop`. A stream that ends before is an error.
pub async fn follow(screens: Arc<Screens>, view: View, path: String, mut stop: watch::Receiver<bool>) -> Result<Shown> {
    let mut body = Body::get(screens.site, &path, &screens.api_key).await?;
    let mut awaited = screens.awaited.clone();
    let mut look = Look::new(view, &screens.agents);
    let mut first = true;
    let mut seen = 0;
    loop {
        let mut wrong = None;
        let event = body.event(|message| {
            let now = Instant::now();
            if !is_state(message) {
                return;
            }
            screens.frames.fetch_add(1, Ordering::Relaxed);
            screens.bytes.fetch_add(message.len() as u64, Ordering::Relaxed);
            if std::mem::take(&mut first) {
                screens.open.fetch_add(1, Ordering::Relaxed);
            }
            if awaited.has_changed().unwrap_or_default() {
                look.awaited = awaited.borrow_and_update().clone();
            }
            wrong = look.at(message, now).err();
        });
        tokio::select! {
            event = event => if !event.with_context(|| format!("follow {path}"))? {
                bail!("{path}: the stream was ended");
            },
            _ = stop.wait_for(|stop| *stop) => break,
        }
        if let Some(wrong) = wrong {
            return Err(wrong.context(path));
        }
        screens
            .delivered
            .fetch_add((look.deliveries.len() - seen) as u64, Ordering::Relaxed);
        seen = look.deliveries.len();
    }
    Ok(Shown {
        view: look.view,
        deliveries: look.deliveries,
    })
}

/// Whether a message carries a state; others are signs of life.
fn is_state(message: &[u8]) -> bool {
    [b"event: board\n".as_slice(), b"event: calls\n", b"event: call\n"]
        .iter()
        .any(|name| message.starts_with(name))
}

impl Look {
    fn new(view: View, agents: &[String]) -> Look {
        let agents = agents
            .iter()
            .enumerate()
            .filter(|(of, _)| matches!(view, View::Board { business } if business.is_none_or(|business| business == *of)))
            .map(|(of, id)| (of, Finder::new(&format!("\"agent\":\"{id}\"")).into_owned(), 0))
            .collect();
        Look {
            view,
            agents,
            awaited: Arc::default(),
            missing: Vec::new(),
            next: 0,
            turn: 0,
            deliveries: Vec::new(),
        }
    }

    fn at(&mut self, message: &[u8], now: Instant) -> Result<()> {
        match self.view {
            View::Board { .. } => self.board(message, now),
            View::Calls => {
                self.calls(message, now);
                Ok(())
            }
            View::Call { call } => {
                // A message may bring several turns at once.
                while find(message, said(call, self.turn).as_bytes()).is_some() {
                    self.deliveries.push((Mark::Says { call, turn: self.turn }, now));
                    self.turn += 1;
                }
                Ok(())
            }
        }
    }

    /// The agents' table says how many calls each has been offered; marked agents have marked calls only.
    fn board(&mut self, message: &[u8], now: Instant) -> Result<()> {
        for (business, finder, seen) in &mut self.agents {
            let offered = match finder.find(message) {
                Some(at) => offered(&message[at..]).context("an agent's row has no number of calls")?,
                None => 0,
            };
            if offered < *seen {
                bail!("a board took {} marked calls back", *seen - offered);
            }
            for turn in *seen..offered {
                self.deliveries.push((Mark::Begins { business: *business, turn }, now));
            }
            *seen = offered;
        }
        Ok(())
    }

    fn calls(&mut self, message: &[u8], now: Instant) {
        while self.awaited.get(self.next).is_some_and(|call| call.due <= now) {
            self.missing.push(self.next);
            self.next += 1;
        }
        let (awaited, deliveries) = (&self.awaited, &mut self.deliveries);
        self.missing.retain(|place| {
            let call = &awaited[*place];
            let shown = find(message, call.id.as_bytes()).is_some();
            if shown {
                deliveries.push((call.mark, now));
            }
            !shown
        });
    }
}

/// The number behind the first `"offered":`.
fn offered(row: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"\"offered\":";
    let digits = &row[find(row, NAME)? + NAME.len()..];
    let end = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(agent: &str, offered: usize) -> Vec<u8> {
        format!("event: board\ndata: {{\"agents\":[{{\"agent\":\"{agent}\",\"name\":null,\"live\":2,\"offered\":{offered},\"handled\":1}}]}}\n\n").into_bytes()
    }

    #[test]
    fn a_board_delivers_each_marked_call_once() {
        let agents = ["agent_a".to_owned(), "agent_b".to_owned()];
        let mut look = Look::new(View::Board { business: Some(1) }, &agents);
        let now = Instant::now();
        for (agent, count) in [("agent_a", 5), ("agent_b", 1), ("agent_b", 1), ("agent_b", 3)] {
            // Rows of other agents are not looked at.
            look.at(&row(agent, count), now).unwrap();
        }
        let turns: Vec<Mark> = look.deliveries.iter().map(|delivery| delivery.0).collect();
        assert_eq!(turns, [0, 1, 2].map(|turn| Mark::Begins { business: 1, turn }));
        assert!(look.at(&row("agent_b", 2), now).is_err());
    }

    #[test]
    fn a_call_delivers_every_turn_of_a_message() {
        let mut look = Look::new(View::Call { call: 4 }, &[]);
        let text = format!("event: call\ndata: {} {}", said(4, 0), said(4, 1));
        look.at(text.as_bytes(), Instant::now()).unwrap();
        assert_eq!(look.turn, 2);
    }

    #[test]
    fn signs_of_life_are_no_states() {
        assert!(is_state(&row("a", 1)));
        assert!(is_state(b"event: call\ndata: {}\n\n"));
        assert!(!is_state(b"event: beat\ndata: {}\n\n"));
        assert!(!is_state(b"retry: 900\n\n"));
        assert!(!is_state(b": \n\n"));
    }
}
