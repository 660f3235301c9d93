//! What people change of themselves.

use secrecy::SecretString;

use super::{Wrong, refused};
use crate::error::{Kind, Problem};
use crate::identity::password::PasswordError;
use crate::identity::password_rules::{self, About};
use crate::identity::{Caller, Person, sign_in};
use crate::state::AppState;

/// The person who asks; a program is none.
pub fn person(caller: &Caller) -> Result<&Person, Problem> {
    let refusal = || Problem::new(Kind::Forbidden, "This is for people who are signed in, not for API keys.");
    caller.person().ok_or_else(refusal)
}

/// Gives oneself another name; as it is kept.
pub async fn rename(state: &AppState, caller: &Caller, name: &str) -> Result<String, Problem> {
    let person = person(caller)?;
    let mut wrong = Wrong::default();
    let name = wrong.name("/name", name);
    wrong.end()?;
    let renamed = state.config.rename_person(person.home, &caller.by(), person.user, &name).await;
    renamed.map_err(|error| refused("rename a person", error))?;
    Ok(name)
}

/// Gives oneself another password, for the one in force. All other sessions end.
pub async fn change_password(state: &AppState, caller: &Caller, current: SecretString, new: SecretString) -> Result<(), Problem> {
    let person = person(caller)?;
    let organisation = state.config.organisation_name(person.home).await;
    let organisation = organisation.map_err(|error| refused("read an organisation", error))?;
    let about = About {
        email: &person.email,
        name: &person.name,
        organisation: &organisation,
    };
    if let Some(weak) = password_rules::refusal(&new, &about) {
        return Err(Problem::field("/new_password", weak.code(), weak.to_string()));
    }
    sign_in::prove_again(state, caller, person, &current).await?;
    let hash = state.passwords.hash(&new).await.map_err(unhashed)?;
    let kept = person.session.hash();
    let set = state
        .config
        .set_password(person.home, &caller.by(), person.user, &hash, Some(&kept))
        .await;
    set.map_err(|error| refused("set a password", error))
}

/// A password that was not hashed, as an answer.
pub fn unhashed(error: PasswordError) -> Problem {
    match error {
        PasswordError::Length => Problem::field("/new_password", "length", format!("{error}.")),
        PasswordError::Busy => Problem::new(Kind::TooMany, "Many people sign in at this moment; try again.").retry_after(2),
        PasswordError::Hashing(_) => Problem::internal("hash a password", error),
    }
}
