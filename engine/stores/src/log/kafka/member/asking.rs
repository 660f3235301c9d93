//! Asks the brokers what a member has to know, on a thread of its own: an answer may take seconds, and the member's thread has a group to serve
//! and other partitions to read.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::{ANSWER_WAIT_MAX, Reader};
use crate::log::LogError;
use crate::log::kafka::reader::Noted;
use crate::log::kafka::rebalance::Notes;

/// Something to be asked.
pub(super) enum Question {
    /// What the group has noted of its partitions.
    Noted,
    /// Where a partition begins and ends.
    Span(u32),
    /// Which partitions no member of the group has.
    Ownerless,
}

/// What came back.
pub(super) enum Answer {
    Noted(Result<Vec<Noted>, LogError>),
    Span {
        partition: u32,
        /// First offset still there, and the one the next record will have.
        span: Result<(i64, i64), LogError>,
    },
    /// None while they are being shared out, or when the broker does not say.
    Ownerless(Option<BTreeSet<u32>>),
}

/// Questions are answered one by one, in their order.
pub(in crate::log::kafka) struct Asking {
    questions: Sender<Question>,
    answers: Receiver<Answer>,
}

impl Asking {
    /// Starts the thread; it ends with what is returned. Each answer rings the member's bell.
    pub fn start(reader: Arc<Reader>, group: &str, notes: Arc<Notes>) -> io::Result<Asking> {
        let ((questions, asked), (answer, answers)) = (channel(), channel());
        let group = group.to_owned();
        std::thread::Builder::new().name(format!("ask-{group}")).spawn(move || {
            // Connects while the group forms; nobody waits for this answer.
            let _ = reader.noted(&group);
            for question in asked {
                let given = match question {
                    Question::Noted => Answer::Noted(reader.noted(&group)),
                    Question::Span(partition) => Answer::Span {
                        partition,
                        span: reader.span_within(partition, ANSWER_WAIT_MAX),
                    },
                    Question::Ownerless => Answer::Ownerless(reader.ownerless(&group).unwrap_or_else(|error| {
                        tracing::debug!(%error, "cannot learn which partitions nobody has");
                        None
                    })),
                };
                if answer.send(given).is_err() {
                    return;
                }
                notes.wake.ring();
            }
        })?;
        Ok(Asking { questions, answers })
    }

    /// Asks. The answer comes from [`Asking::answer`], later.
    pub(super) fn ask(&self, question: Question) {
        // The thread lives as long as we do.
        let _ = self.questions.send(question);
    }

    /// The next answer that has come.
    pub(super) fn answer(&self) -> Option<Answer> {
        self.answers.try_recv().ok()
    }
}
