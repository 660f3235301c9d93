//! Mail by SMTP: one short text to one person.

use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, SinglePart};
use lettre::transport::smtp::authentication::Mechanism;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use secrecy::{ExposeSecret, SecretString};

/// A mail to send.
#[derive(Debug, Clone)]
pub struct Mail {
    /// To which address.
    pub to: String,
    /// To whom; may be empty.
    pub name: String,
    /// Subject.
    pub subject: String,
    /// Text, without markup.
    pub text: SecretString,
}

/// Why a mail was not sent.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The settings or the address make no sense.
    #[error("{0}")]
    Unusable(String),
    /// The server will never take it.
    #[error("the mail server refuses it: {0}")]
    Refused(String),
    /// It may be taken later.
    #[error("the mail server did not take it: {0}")]
    Failed(String),
}

/// Sends by one server.
#[derive(Clone)]
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Mailer {
    /// By the server at `url`: `smtps://user:password@host:465` (TLS from the beginning), `smtp://user:password@host:587?tls=required`
    /// (STARTTLS) or `smtp://host:25` (no TLS). Nothing is asked of the server yet.
    pub fn new(url: &SecretString, from: &str, timeout: Duration) -> Result<Mailer, MailError> {
        let unusable = |what: &str, error: &dyn std::fmt::Display| MailError::Unusable(format!("{what}: {error}"));
        let from = from.parse().map_err(|error| unusable("the sender of mails", &error))?;
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose_secret())
            // The address holds a password, so the library's words about it are not repeated.
            .map_err(|_| {
                MailError::Unusable("the address of the mail server cannot be read; write smtps://user:password@host:465".into())
            })?;
        let transport = builder
            .timeout(Some(timeout))
            .authentication(vec![Mechanism::Plain, Mechanism::Login])
            .build();
        Ok(Mailer { transport, from })
    }

    /// Sends one mail; once this says so, the server has it.
    pub async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let address: Address = mail
            .to
            .parse()
            .map_err(|error| MailError::Refused(format!("this is no address: {error}")))?;
        let name = Some(mail.name.clone()).filter(|name| !name.is_empty());
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(name, address))
            .subject(&mail.subject)
            // Written by a machine: nobody's absence note answers it (RFC 3834).
            .raw_header(auto_submitted())
            .singlepart(
                SinglePart::builder()
                    .header(ContentType::TEXT_PLAIN)
                    .body(mail.text.expose_secret().to_owned()),
            )
            .map_err(|error| MailError::Unusable(format!("write a mail: {error}")))?;
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_permanent() => Err(MailError::Refused(error.to_string())),
            Err(error) => Err(MailError::Failed(chain(&error))),
        }
    }
}

fn auto_submitted() -> lettre::message::header::HeaderValue {
    let name = lettre::message::header::HeaderName::new_from_ascii_str("Auto-Submitted");
    lettre::message::header::HeaderValue::new(name, "auto-generated".to_owned())
}

/// An error and its causes in one line: the library tells the cause only when asked for it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_cannot_be_read_is_not_repeated() {
        for url in ["smtp//a:hunter2@h", "gopher://a:hunter2@h", ""] {
            let refused = Mailer::new(&SecretString::from(url), "t@x.example", Duration::from_secs(1))
                .err()
                .unwrap();
            assert!(!refused.to_string().contains("hunter2"), "{refused}");
        }
        let url = SecretString::from("smtp://127.0.0.1:1025");
        assert!(Mailer::new(&url, "not an address", Duration::from_secs(1)).is_err());
        assert!(Mailer::new(&url, "Trunkline <calls@x.example>", Duration::from_secs(1)).is_ok());
    }
}
