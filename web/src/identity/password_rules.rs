//! Which passwords are refused when they are set (S-103): short ones, and those that are guessed soon, with what is known of the person.

use secrecy::{ExposeSecret, SecretString};
use zxcvbn::Score;

use super::password::{PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN};

/// Fewer than 10^8 guesses: common passwords, keyboard rows, dates, names, and these with the usual changes. zxcvbn looks at lists of
/// the commonest passwords and words, and at the beginning of long texts only, so its cost is bounded.
const SCORE_MIN: Score = Score::Three;

/// Parts of a name or address that are shorter than this are in many words.
const PART_CHARS_MIN: usize = 4;

/// What is known of whose password it is.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// Their address.
    pub email: &'a str,
    /// Their name.
    pub name: &'a str,
    /// Their organisation.
    pub organisation: &'a str,
}

/// Why a password is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Weak {
    /// Too short, or too long.
    #[error("A password has between {PASSWORD_CHARS_MIN} and {PASSWORD_CHARS_MAX} characters.")]
    Length,
    /// It holds the person's address or name, or the organisation's name.
    #[error("The password holds your name, your address or the name of the organisation; those are tried first.")]
    Personal,
    /// It is guessed soon.
    #[error("This password is guessed soon; several words that do not belong together are better.")]
    Common,
}

impl Weak {
    /// A stable word.
    pub fn code(self) -> &'static str {
        match self {
            Weak::Length => "length",
            Weak::Personal => "personal_password",
            Weak::Common => "common_password",
        }
    }
}

/// Why this password is refused; `None`: it is not.
pub fn refusal(password: &SecretString, about: &About<'_>) -> Option<Weak> {
    let password = password.expose_secret();
    if !(PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX).contains(&password.chars().count()) {
        return Some(Weak::Length);
    }
    let lower = password.to_lowercase();
    let parts = parts(about);
    if parts.iter().any(|part| lower.contains(part.as_str())) {
        return Some(Weak::Personal);
    }
    let known: Vec<&str> = parts.iter().map(String::as_str).chain(["trunkline", "retell"]).collect();
    (zxcvbn::zxcvbn(password, &known).score() < SCORE_MIN).then_some(Weak::Common)
}

/// The words of address and names, and each of these whole without spaces.
fn parts(about: &About<'_>) -> Vec<String> {
    // The end of a domain ("com") says nothing; the rest names somebody.
    let address = about.email.rsplit_once('.').map_or(about.email, |(rest, _)| rest);
    let mut parts = vec![about.email.to_lowercase()];
    for text in [address, about.name, about.organisation] {
        let lower = text.to_lowercase();
        parts.extend(lower.split(|letter: char| !letter.is_alphanumeric()).map(str::to_owned));
        parts.push(lower.chars().filter(|letter| letter.is_alphanumeric()).collect());
    }
    parts.retain(|part| part.chars().count() >= PART_CHARS_MIN);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABOUT: About<'_> = About {
        email: "ana.keller@zahnarzt-mitte.example",
        name: "Ana Keller",
        organisation: "Zahnarzt Mitte",
    };

    fn outcome(password: &str) -> Option<Weak> {
        refusal(&SecretString::from(password), &ABOUT)
    }

    #[test]
    fn s103_what_is_tried_first_is_refused() {
        for (password, expected) in [
            ("short", Weak::Length),
            ("Password123!", Weak::Common),
            ("qwertyuiop", Weak::Common),
            ("1234567890", Weak::Common),
            ("iloveyou1234", Weak::Common),
            ("trunkline2026", Weak::Common),
            ("aaaaaaaaaaaaaaaa", Weak::Common),
            ("my keller is deep", Weak::Personal),
            ("ZahnarztMitte!99", Weak::Personal),
            ("ANA.KELLER@zahnarzt-mitte.example", Weak::Personal),
        ] {
            assert_eq!(outcome(password), Some(expected), "{password}");
        }
        let long = "x".repeat(PASSWORD_CHARS_MAX + 1);
        assert_eq!(outcome(&long), Some(Weak::Length));
        for good in [
            "a sentence nobody guesses",
            "gravel-lamp-otter-9",
            "Ωμέγα καὶ ἄλφα εἰμί",
            "x7$Lq!mZ2w",
        ] {
            assert_eq!(outcome(good), None, "{good}");
        }
    }
}
