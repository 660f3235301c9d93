//! What mails say, in the language of whoever gets them.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use secrecy::SecretString;
use trunkline_actors::post::{Writer, Written};
use trunkline_connectors::mail::Mail;
use trunkline_stores::postgres::config::invitations::{Letter, Matter};

use crate::identity::token;
use crate::l10n;

/// Writes mails whose links lead to `origin`.
pub fn writer(origin: String) -> Writer {
    Arc::new(move |letter| write(letter, &origin))
}

fn write(letter: &Letter, origin: &str) -> Written {
    let l = l10n::negotiate(Some(&letter.lang), None);
    let (text, token_hash) = token::fresh();
    let (key, page) = match letter.matter {
        Matter::Invitation => ("mail-invitation", "invitation"),
        Matter::PasswordReset => ("mail-reset", "reset"),
    };
    let link = token::link(origin, page, &letter.email, &text);
    let until = Timestamp::from_millisecond(letter.expires_at.0).unwrap_or_default();
    let until = until.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M UTC").to_string();
    let organisation = letter.organisation.as_str();
    let opening = match letter.invited_by.as_str() {
        "" => l.t1(&format!("{key}-text"), "name", organisation),
        who => l.t2(&format!("{key}-from"), ("name", organisation), ("value", who)),
    };
    let paragraphs = [
        l.t1("mail-hello", "name", letter.name.as_str()),
        opening,
        link,
        l.t1("mail-until", "time", until),
        l.t(&format!("{key}-end")),
    ];
    // Fluent marks inserted names for mixed directions; in a plain text mail the marks are seen.
    let plain = |text: String| text.replace(['\u{2068}', '\u{2069}'], "");
    Written {
        mail: Mail {
            to: letter.email.clone(),
            name: letter.name.clone(),
            subject: plain(l.t1(&format!("{key}-subject"), "name", organisation)),
            text: SecretString::from(plain(paragraphs.join("\n\n")) + "\n"),
        },
        token_hash,
    }
}
