//! Changes of the configuration, as API and pages ask for them: what is allowed, what is checked, and what is told when it is refused.

pub mod agents;
pub mod business;
pub mod endpoint;
pub mod invitations;
pub mod keys;
pub mod mail_domains;
pub mod organisation;
pub mod people;
pub mod platform;
pub mod profile;
pub mod single_sign_on;
pub mod workspace;

use std::sync::Arc;
use std::time::Duration;

use trunkline_stores::postgres::{Directory, PostgresError};

use crate::error::{FieldError, Kind, Problem};
use crate::state::AppState;

/// Longest name of anything, in characters; the database has the same limit.
pub const NAME_CHARS: usize = 200;

/// What was found wrong with a form, all of it at once.
#[derive(Debug, Default)]
pub struct Wrong(Vec<FieldError>);

impl Wrong {
    /// Notes a refused field: its JSON pointer, a stable word, a sentence.
    pub fn field(&mut self, pointer: &str, code: &str, detail: impl Into<String>) {
        self.0.push(FieldError {
            pointer: pointer.to_owned(),
            code: code.to_owned(),
            detail: detail.into(),
        });
    }

    /// A name as it is kept: without white space around it.
    pub fn name(&mut self, pointer: &str, text: &str) -> String {
        let name = text.trim();
        if name.is_empty() {
            self.field(pointer, "empty", "A name is needed.");
        } else if name.chars().count() > NAME_CHARS || name.chars().any(char::is_control) {
            self.field(
                pointer,
                "bad_name",
                format!("A name has at most {NAME_CHARS} characters and no line breaks."),
            );
        }
        name.to_owned()
    }

    /// Whether nothing was wrong so far.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Refuses when something was wrong.
    pub fn end(self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(Problem::fields(self.0)) }
    }
}

/// Longest wait for a change to be known to this process; beyond it the change is made all the same, and becomes known a moment later.
const KNOWN_WAIT: Duration = Duration::from_secs(2);

/// Waits until this process knows of a change that was just made, so that whoever made it can go on with it at once.
pub async fn until_known(state: &AppState, known: impl FnMut(&Arc<Directory>) -> bool) {
    let mut directory = state.directory.clone();
    if tokio::time::timeout(KNOWN_WAIT, directory.wait_for(known)).await.is_err() {
        tracing::warn!(request_id = %crate::request::current_id(), "a change of the configuration is not known here yet");
    }
}

/// What Postgres did not do, as an answer.
pub fn refused(attempted: &'static str, error: PostgresError) -> Problem {
    match error {
        PostgresError::Missing { .. } => Problem::not_found(),
        PostgresError::Changed { .. } => Problem::new(Kind::Precondition, "It was changed meanwhile; read it again and repeat the change."),
        PostgresError::Conflict { why, .. } => Problem::new(Kind::Conflict, sentence(why)),
        PostgresError::Unavailable { .. } => Problem::unavailable(attempted, error),
        other => Problem::internal(attempted, other),
    }
}

/// A clause as a sentence.
fn sentence(clause: &str) -> String {
    let mut letters = clause.chars();
    letters
        .next()
        .map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}
