//! Mails as jobs: a token is made when the mail is written, so that it is in the mail and nowhere else.

use std::sync::Arc;

use trunkline_connectors::mail::{Mail, MailError, Mailer};
use trunkline_stores::postgres::config::invitations::{Letter, Matter};
use trunkline_stores::postgres::jobs::{ClaimedJob, Tried};
use trunkline_stores::postgres::row::Hash32;
use trunkline_stores::postgres::{Config, PostgresError};

use crate::system::wall_clock;

/// A mail as it is written.
pub struct Written {
    /// The mail, with a token in it where it lets somebody in.
    pub mail: Mail,
    /// What is kept of the token; none: it lets nobody in.
    pub token_hash: Option<Hash32>,
}

/// Writes a mail with a new token.
pub type Writer = Arc<dyn Fn(&Letter) -> Written + Send + Sync>;

/// What mails go out by.
#[derive(Clone)]
pub struct Post {
    /// The server.
    pub mailer: Mailer,
    /// Knows the texts.
    pub writer: Writer,
}

/// Writes and sends the mail of a job.
pub(crate) async fn send(config: &Config, post: Option<&Post>, job: &ClaimedJob) -> Result<Tried, PostgresError> {
    let Some(matter) = Matter::parse(&job.topic) else {
        return Ok(Tried::Gone("this version knows no such mail".to_owned()));
    };
    let Some(post) = post else {
        return Ok(Tried::Failed("no mail server is set in this process: mail.url".to_owned()));
    };
    let subject = job.subject;
    let Some(letter) = config.letter(job.tenant, matter, subject, wall_clock()).await? else {
        return Ok(Tried::Gone("nobody waits for it any more".to_owned()));
    };
    let written = (post.writer)(&letter);
    if let Some(hash) = &written.token_hash {
        config.put_token(job.tenant, matter, subject, hash).await?;
    }
    Ok(match post.mailer.send(&written.mail).await {
        Ok(()) => Tried::Done,
        Err(error @ MailError::Refused(_)) => Tried::Gone(error.to_string()),
        Err(error) => Tried::Failed(error.to_string()),
    })
}
