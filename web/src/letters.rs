//! What mails say, in the language of whoever gets them.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use secrecy::SecretString;
use trunkline_actors::post::{Writer, Written};
use trunkline_connectors::mail::Mail;
use trunkline_stores::postgres::config::invitations::{Letter, Matter};
use trunkline_stores::postgres::row::Hash32;

use crate::identity::token;
use crate::l10n;

/// Writes mails whose links lead to `origin`.
pub fn writer(origin: String) -> Writer {
    Arc::new(move |letter| write(letter, &origin))
}

fn write(letter: &Letter, origin: &str) -> Written {
    let l = l10n::negotiate(Some(&letter.lang), None);
    let at = Timestamp::from_millisecond(letter.expires_at.0).unwrap_or_default();
    let at = at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M UTC").to_string();
    let hello = l.t1("mail-hello", "name", letter.name.as_str());
    let (key, page) = match letter.matter {
        Matter::Invitation => ("mail-invitation", "invitation"),
        Matter::PasswordReset => ("mail-reset", "reset"),
        Matter::TokenReuse => {
            let organisation = letter.organisation.as_str();
            let text = l.t2("mail-reuse-text", ("name", organisation), ("time", at.as_str()));
            let paragraphs = [hello, text, format!("{origin}/account"), l.t("mail-reuse-end")];
            return written(letter, l.t("mail-reuse-subject"), &paragraphs, None);
        }
    };
    let (text, token_hash) = token::fresh();
    let organisation = letter.organisation.as_str();
    let opening = match letter.invited_by.as_str() {
        "" => l.t1(&format!("{key}-text"), "name", organisation),
        who => l.t2(&format!("{key}-from"), ("name", organisation), ("value", who)),
    };
    let paragraphs = [
        hello,
        opening,
        token::link(origin, page, &letter.email, &text),
        l.t1("mail-until", "time", at),
        l.t(&format!("{key}-end")),
    ];
    let subject = l.t1(&format!("{key}-subject"), "name", organisation);
    written(letter, subject, &paragraphs, Some(token_hash))
}

fn written(letter: &Letter, subject: String, paragraphs: &[String], token_hash: Option<Hash32>) -> Written {
    // Fluent marks inserted names for mixed directions; in a plain text mail the marks are seen.
    let plain = |text: String| text.replace(['\u{2068}', '\u{2069}'], "");
    Written {
        mail: Mail {
            to: letter.email.clone(),
            name: letter.name.clone(),
            subject: plain(subject),
            text: SecretString::from(plain(paragraphs.join("\n\n")) + "\n"),
        },
        token_hash,
    }
}
