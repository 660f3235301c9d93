//! Invitations as the product sees them.

use trunkline_core::access::{Grant, Role};
use trunkline_core::id::{InvitationId, TenantId};
use trunkline_core::instant::Millis;

use super::Hash32;

/// Somebody to invite.
#[derive(Debug, Clone)]
pub struct NewInvitation {
    /// Address, lower case.
    pub email: String,
    /// Name.
    pub name: String,
    /// Role everywhere in the organisation, if any.
    pub role: Option<Role>,
    /// Roles in single businesses.
    pub grants: Vec<Grant>,
    /// Language of the mail (BCP 47).
    pub lang: String,
    /// The link holds until then.
    pub expires_at: Millis,
}

/// An invitation as listed: never its token.
#[derive(Debug, Clone)]
pub struct InvitationListed {
    /// Its id.
    pub id: InvitationId,
    /// Address, lower case.
    pub email: String,
    /// Name.
    pub name: String,
    /// Role everywhere in the organisation, if any.
    pub role: Option<Role>,
    /// Roles in single businesses.
    pub grants: Vec<Grant>,
    /// Name of who invited; `None`: the command line, a program, or somebody who has left.
    pub invited_by: Option<String>,
    /// When it was made.
    pub created_at: Millis,
    /// Its link holds until then.
    pub expires_at: Millis,
    /// When it was accepted.
    pub accepted_at: Option<Millis>,
    /// When it was taken back.
    pub revoked_at: Option<Millis>,
}

impl InvitationListed {
    /// Neither accepted nor taken back; it may have expired.
    pub fn is_open(&self) -> bool {
        self.accepted_at.is_none() && self.revoked_at.is_none()
    }

    /// The word shown: `open`, `expired`, `accepted`, `revoked`.
    pub fn status(&self, now: Millis) -> &'static str {
        match (self.accepted_at, self.revoked_at) {
            (Some(_), _) => "accepted",
            (_, Some(_)) => "revoked",
            _ if self.expires_at <= now => "expired",
            _ => "open",
        }
    }
}

/// Somebody who accepts an invitation.
#[derive(Debug, Clone, Copy)]
pub struct Invited<'a> {
    /// Whose invitation.
    pub tenant: TenantId,
    /// Which.
    pub id: InvitationId,
    /// Hash of its token.
    pub token_hash: Hash32,
    /// Address, lower case.
    pub email: &'a str,
    /// Name, as they want it.
    pub name: &'a str,
}
