//! Invitations: who may join, with which roles, until when.

use trunkline_core::access::{Grant, Permission, Role};
use trunkline_core::id::InvitationId;
use trunkline_core::instant::Millis;
use trunkline_stores::postgres::PostgresError;
use trunkline_stores::postgres::row::{InvitationListed, NewInvitation, PersonState, Span};

use super::people::{check_grants, check_rank};
use super::{Wrong, refused};
use crate::error::{Kind, Problem};
use crate::identity::session::now;
use crate::identity::{Caller, token};
use crate::state::AppState;

/// Longest address (RFC 5321, 4.5.3.1.3 less the brackets).
const EMAIL_CHARS: usize = 254;

/// Somebody to invite.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// Address.
    pub email: String,
    /// Name.
    pub name: String,
    /// Role everywhere, if any.
    pub role: Option<Role>,
    /// Roles in single businesses.
    pub grants: Vec<Grant>,
    /// Language of the mail.
    pub lang: String,
}

/// An invitation that was made or renewed; with its link, when there is no mail server that would carry it.
pub type Offered = (InvitationListed, Option<String>);

/// Invitations of the organisation; one more than asked for says that there are more.
pub async fn list(state: &AppState, caller: &Caller, span: Span) -> Result<Vec<InvitationListed>, Problem> {
    caller.needs(Permission::People)?;
    let found = state.config.invitations(caller.tenant, span).await;
    found.map_err(|error| refused("list invitations", error))
}

/// One invitation.
pub async fn find(state: &AppState, caller: &Caller, id: InvitationId) -> Result<InvitationListed, Problem> {
    caller.needs(Permission::People)?;
    let found = state.config.invitation(caller.tenant, id).await;
    found
        .map_err(|error| refused("read an invitation", error))?
        .ok_or_else(Problem::not_found)
}

/// Invites somebody, with no more than the caller may do.
pub async fn create(state: &AppState, caller: &Caller, mut draft: Draft) -> Result<Offered, Problem> {
    caller.needs(Permission::People)?;
    let mut wrong = Wrong::default();
    let email = checked_email(&draft.email, &mut wrong);
    let name = wrong.name("/name", &draft.name);
    if draft.role.is_none() && draft.grants.is_empty() {
        wrong.field("/role", "no_role", "Give a role everywhere or in at least one business.");
    }
    wrong.end()?;
    check_grants(state, caller, &mut draft.grants).await?;
    let rank = PersonState {
        role: draft.role,
        grants: draft.grants.clone(),
        disabled: false,
    };
    check_rank(caller, &rank)?;
    if is_member(state, caller, &email).await? {
        return Err(Problem::field(
            "/email",
            "is_member",
            "This person is here already; change their roles instead.",
        ));
    }
    let new = NewInvitation {
        email,
        name,
        role: draft.role,
        grants: draft.grants,
        lang: draft.lang,
        expires_at: expiry(state),
    };
    let token = handed_over(state);
    let hash = token.as_ref().map(|(_, hash)| hash);
    let id = state.config.create_invitation(caller.tenant, &caller.by(), &new, hash, now()).await;
    let id = id.map_err(|error| match error {
        PostgresError::Taken { .. } => Problem::new(Kind::Conflict, "This person is invited already; send it again, or revoke it first."),
        other => refused("invite somebody", other),
    })?;
    offered(state, caller, id, token).await
}

/// An address as it is kept.
pub(super) fn checked_email(text: &str, wrong: &mut Wrong) -> String {
    let email = text.trim().to_lowercase();
    let parts = email.split_once('@').filter(|(user, host)| !user.is_empty() && !host.is_empty());
    let odd = |letter: char| letter.is_control() || letter.is_whitespace();
    if parts.is_none() || email.len() > EMAIL_CHARS || email.contains(odd) {
        wrong.field("/email", "bad_email", "Write an address such as ana@example.com.");
    }
    email
}

/// Sends an open invitation again. The link sent before is worth nothing from then on.
pub async fn renew(state: &AppState, caller: &Caller, id: InvitationId, lang: &str) -> Result<Offered, Problem> {
    let before = find(state, caller, id).await?;
    check_open(&before)?;
    let rank = PersonState {
        role: before.role,
        grants: before.grants.clone(),
        disabled: false,
    };
    check_rank(caller, &rank)?;
    let token = handed_over(state);
    let hash = token.as_ref().map(|(_, hash)| hash);
    let renewed = state
        .config
        .renew_invitation(caller.tenant, &caller.by(), id, (lang, expiry(state)), (hash, now()))
        .await;
    renewed.map_err(|error| refused("send an invitation again", error))?;
    offered(state, caller, id, token).await
}

/// Takes an open invitation back.
pub async fn revoke(state: &AppState, caller: &Caller, id: InvitationId) -> Result<(), Problem> {
    check_open(&find(state, caller, id).await?)?;
    let revoked = state.config.revoke_invitation(caller.tenant, &caller.by(), id, now()).await;
    revoked.map_err(|error| refused("revoke an invitation", error))
}

fn check_open(invitation: &InvitationListed) -> Result<(), Problem> {
    if invitation.is_open() {
        return Ok(());
    }
    Err(Problem::new(
        Kind::Conflict,
        "This invitation was accepted or revoked; make another one.",
    ))
}

/// A token for the caller to hand over, when there is no mail server.
pub(super) fn handed_over(state: &AppState) -> Option<(String, [u8; 32])> {
    (!state.settings.mail.is_set()).then(token::fresh)
}

async fn offered(state: &AppState, caller: &Caller, id: InvitationId, token: Option<(String, [u8; 32])>) -> Result<Offered, Problem> {
    let invitation = find(state, caller, id).await?;
    let origin = state.settings.server.origin();
    let link = token.map(|(text, _)| token::link(&origin, "invitation", &invitation.email, &text));
    Ok((invitation, link))
}

/// When an invitation made now ends.
pub(super) fn expiry(state: &AppState) -> Millis {
    now().plus(i64::from(state.settings.sign_in.invitation_days) * 86_400_000)
}

/// Whether the address belongs to somebody of this organisation. Of other organisations' people nothing is said.
async fn is_member(state: &AppState, caller: &Caller, email: &str) -> Result<bool, Problem> {
    let found = state.config.user_by_email(email).await;
    let found = found.map_err(|error| refused("find a person", error))?;
    Ok(found.is_some_and(|user| user.tenant == caller.tenant))
}
