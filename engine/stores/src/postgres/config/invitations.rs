//! Invitations and forgotten passwords. What lets somebody in goes out by mail and is kept as a hash only.

use deadpool_postgres::Transaction;
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::types::Json;
use trunkline_core::access::Role;
use trunkline_core::audit::{Actor, By, Deed};
use trunkline_core::id::{InvitationId, TenantId, UserId};
use trunkline_core::instant::Millis;
use uuid::Uuid;

use super::grants::{read_grants, shown, stored};
use super::identity::{insert_user, read_role};
use super::{Config, audit, column, must_exist, rows};
use crate::postgres::row::{Hash32, InvitationListed, Invited, NewInvitation, NewUser, Span};
use crate::postgres::{PostgresError, tenant};

/// Somebody's mailbox gets no second mail about a forgotten password within this time.
const RESET_PAUSE_MS: i64 = 60_000;

/// Why an invitation is not accepted with a password.
const BY_PROVIDER: &str = "people of this organisation come in by its own sign-in";

/// What a mail is about: the topic of its job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matter {
    /// Somebody is invited.
    Invitation,
    /// A password was forgotten.
    PasswordReset,
    /// A refresh token was shown twice; its subject is the person.
    TokenReuse,
}

impl Matter {
    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Matter::Invitation => "invitation",
            Matter::PasswordReset => "password_reset",
            Matter::TokenReuse => "token_reuse",
        }
    }

    /// The matter of this name.
    pub fn parse(text: &str) -> Option<Matter> {
        [Matter::Invitation, Matter::PasswordReset, Matter::TokenReuse]
            .into_iter()
            .find(|matter| matter.as_str() == text)
    }
}

/// What a mail needs to say.
#[derive(Debug, Clone)]
pub struct Letter {
    /// What it is about.
    pub matter: Matter,
    /// To which address.
    pub email: String,
    /// To whom.
    pub name: String,
    /// Name of the organisation.
    pub organisation: String,
    /// Name of who invites; empty where nobody does.
    pub invited_by: String,
    /// In which language (BCP 47).
    pub lang: String,
    /// What it offers ends then; of what offers nothing, when it was written.
    pub expires_at: Millis,
}

/// Whom a token lets in.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// Whose.
    pub tenant: TenantId,
    /// Which invitation or reset.
    pub id: Uuid,
    /// Whose password; none for somebody who is not yet there.
    pub user: Option<UserId>,
    /// Address.
    pub email: String,
    /// Name.
    pub name: String,
    /// Name of the organisation.
    pub organisation: String,
}

impl Config {
    /// Invites somebody: with a token that the caller hands over (`Some`), or by a mail that makes its own when it is written.
    pub async fn create_invitation(
        &self,
        tenant: TenantId,
        by: &By,
        new: &NewInvitation,
        token_hash: Option<&Hash32>,
        now: Millis,
    ) -> Result<InvitationId, PostgresError> {
        let doing = "invite somebody";
        let mut client = self.client(doing).await?;
        let transaction = tenant::begin(&mut client, tenant, doing).await?;
        let id = invite(&transaction, tenant, by, new, token_hash, now).await?;
        tenant::commit(transaction, doing).await?;
        Ok(id)
    }

    /// Sends an open invitation again, also one that has expired; the link sent before is worth nothing from then on.
    pub async fn renew_invitation(
        &self,
        tenant: TenantId,
        by: &By,
        id: InvitationId,
        (lang, expires_at): (&str, Millis),
        (token_hash, now): (Option<&Hash32>, Millis),
    ) -> Result<(), PostgresError> {
        let doing = "send an invitation again";
        let mut client = self.client(doing).await?;
        let transaction = tenant::begin(&mut client, tenant, doing).await?;
        let hash = token_hash.map(|hash| hash.as_slice());
        let sql = include_str!("../sql/renew_invitation.sql");
        let found = rows(&transaction, doing, sql, &[&id.0, &hash, &lang, &expires_at.0]).await?;
        must_exist(&found, doing)?;
        if token_hash.is_none() {
            post(&transaction, tenant, id.0, Matter::Invitation, now).await?;
        }
        let deed = Deed::plain("person.invite_again", "invitation", id);
        audit::append(&transaction, tenant, by, &deed).await?;
        tenant::commit(transaction, doing).await
    }

    /// Takes an open invitation back.
    pub async fn revoke_invitation(&self, tenant: TenantId, by: &By, id: InvitationId, now: Millis) -> Result<(), PostgresError> {
        let doing = "revoke an invitation";
        let deed = Deed::plain("person.uninvite", "invitation", id);
        let sql = include_str!("../sql/revoke_invitation.sql");
        must_exist(&self.change(tenant, (by, &deed), doing, sql, &[&id.0, &now.0]).await?, doing)
    }

    /// A page of the invitations of a tenant, oldest first; one more than asked for says that there are more.
    pub async fn invitations(&self, tenant: TenantId, span: Span) -> Result<Vec<InvitationListed>, PostgresError> {
        self.list_invitations(tenant, None, span).await
    }

    /// One invitation.
    pub async fn invitation(&self, tenant: TenantId, id: InvitationId) -> Result<Option<InvitationListed>, PostgresError> {
        let found = self.list_invitations(tenant, Some(id), Span::first(1)).await?;
        Ok(found.into_iter().next())
    }

    async fn list_invitations(
        &self,
        tenant: TenantId,
        id: Option<InvitationId>,
        span: Span,
    ) -> Result<Vec<InvitationListed>, PostgresError> {
        let id = id.map(|id| id.0);
        let sql = include_str!("../sql/invitations.sql");
        let found = self
            .ask_within(tenant, "list invitations", sql, &[&id, &span.after, &span.before, &span.most()])
            .await?;
        let read = |row| {
            Ok(InvitationListed {
                id: InvitationId(column(row, 0)?),
                email: column(row, 1)?,
                name: column(row, 2)?,
                role: read_role(row, 3)?,
                grants: read_grants(row, 4)?,
                invited_by: column(row, 5)?,
                created_at: Millis(column(row, 6)?),
                expires_at: Millis(column(row, 7)?),
                accepted_at: column::<Option<i64>>(row, 8)?.map(Millis),
                revoked_at: column::<Option<i64>>(row, 9)?.map(Millis),
            })
        };
        found.iter().map(read).collect()
    }

    /// Whom an invitation's token lets in; `None`: nobody, for whatever reason.
    pub async fn invitation_by_token(&self, hash: &Hash32, now: Millis) -> Result<Option<Admitted>, PostgresError> {
        let sql = include_str!("../sql/invitation_by_token.sql");
        let found = self.ask("find an invitation", sql, &[&hash.as_slice(), &now.0]).await?;
        let read = |row| {
            Ok(Admitted {
                tenant: TenantId(column(row, 0)?),
                id: column(row, 1)?,
                user: None,
                email: column(row, 2)?,
                name: column(row, 3)?,
                organisation: column(row, 4)?,
            })
        };
        found.first().map(read).transpose()
    }

    /// Makes an invited person, who is then invited no longer. `Missing`: somebody else was faster, or it ended meanwhile.
    pub async fn accept_invitation(
        &self,
        by: &By,
        invited: &Invited<'_>,
        password_hash: &SecretString,
        now: Millis,
    ) -> Result<UserId, PostgresError> {
        let doing = "accept an invitation";
        let (tenant, id) = (invited.tenant, invited.id);
        let mut client = self.client(doing).await?;
        let transaction = tenant::begin(&mut client, tenant, doing).await?;
        let sql = include_str!("../sql/accept_invitation.sql");
        let found = rows(&transaction, doing, sql, &[&id.0, &invited.token_hash.as_slice(), &now.0]).await?;
        must_exist(&found, doing)?;
        let role = read_role(&found[0], 0)?;
        // As at sign-in: where people come in by the organisation's own provider, a password lets owners in and nobody else.
        let required = rows(&transaction, doing, include_str!("../sql/single_sign_on_required.sql"), &[]).await?;
        if role != Some(Role::Owner) && required.first().map_or(Ok(false), |row| column(row, 0))? {
            return Err(PostgresError::Conflict { doing, why: BY_PROVIDER });
        }
        let new = NewUser {
            email: invited.email.to_owned(),
            name: invited.name.to_owned(),
            role,
            grants: read_grants(&found[0], 1)?,
            password_hash: SecretString::from(password_hash.expose_secret().to_owned()),
        };
        let user = insert_user(&transaction, tenant, by, &new).await?;
        let deed = Deed::plain("person.accept", "invitation", id);
        audit::append(&transaction, tenant, by, &deed).await?;
        tenant::commit(transaction, doing).await?;
        Ok(user)
    }

    /// Begins a reset of a password by mail. False: one was begun a moment ago.
    pub async fn begin_password_reset(
        &self,
        tenant: TenantId,
        by: &By,
        user: UserId,
        (lang, expires_at): (&str, Millis),
        now: Millis,
    ) -> Result<bool, PostgresError> {
        let doing = "begin a reset of a password";
        let id = Uuid::now_v7();
        let mut client = self.client(doing).await?;
        let transaction = tenant::begin(&mut client, tenant, doing).await?;
        let since = now.plus(-RESET_PAUSE_MS).0;
        let sql = include_str!("../sql/create_password_reset.sql");
        let made = rows(
            &transaction,
            doing,
            sql,
            &[&tenant.0, &id, &user.0, &lang, &now.0, &expires_at.0, &since],
        )
        .await?;
        if made.is_empty() {
            return Ok(false);
        }
        post(&transaction, tenant, id, Matter::PasswordReset, now).await?;
        audit::append(&transaction, tenant, by, &Deed::plain("person.forgot", "user", user)).await?;
        tenant::commit(transaction, doing).await?;
        Ok(true)
    }

    /// Whose password a reset's token changes; `None`: nobody's.
    pub async fn password_reset_by_token(&self, hash: &Hash32, now: Millis) -> Result<Option<Admitted>, PostgresError> {
        let sql = include_str!("../sql/password_reset_by_token.sql");
        let found = self.ask("find a reset of a password", sql, &[&hash.as_slice(), &now.0]).await?;
        let read = |row| {
            Ok(Admitted {
                tenant: TenantId(column(row, 0)?),
                id: column(row, 1)?,
                user: Some(UserId(column(row, 2)?)),
                email: column(row, 3)?,
                name: column(row, 4)?,
                organisation: column(row, 5)?,
            })
        };
        found.first().map(read).transpose()
    }

    /// Gives the password that was asked for by mail; all sessions end, and all other mails of the kind are worth nothing.
    pub async fn reset_password(
        &self,
        by: &By,
        (admitted, user): (&Admitted, UserId),
        token_hash: &Hash32,
        password_hash: &SecretString,
        now: Millis,
    ) -> Result<(), PostgresError> {
        let doing = "reset a password";
        let mut client = self.client(doing).await?;
        let transaction = tenant::begin(&mut client, admitted.tenant, doing).await?;
        let sql = include_str!("../sql/use_password_reset.sql");
        let used = rows(&transaction, doing, sql, &[&admitted.id, &token_hash.as_slice(), &now.0]).await?;
        must_exist(&used, doing)?;
        let (sql, kept) = (include_str!("../sql/set_password.sql"), None::<&[u8]>);
        let set = rows(&transaction, doing, sql, &[&user.0, &password_hash.expose_secret(), &kept]).await?;
        must_exist(&set, doing)?;
        let deed = Deed::plain("person.password_reset", "user", user);
        audit::append(&transaction, admitted.tenant, by, &deed).await?;
        tenant::commit(transaction, doing).await
    }

    /// What the mail of a job has to say; `None`: nobody waits for it any more.
    pub async fn letter(&self, tenant: TenantId, matter: Matter, id: Uuid, now: Millis) -> Result<Option<Letter>, PostgresError> {
        let sql = match matter {
            Matter::Invitation => include_str!("../sql/letter_of_invitation.sql"),
            Matter::PasswordReset => include_str!("../sql/letter_of_password_reset.sql"),
            Matter::TokenReuse => include_str!("../sql/letter_of_token_reuse.sql"),
        };
        let found = self.ask_within(tenant, "write a mail", sql, &[&id, &now.0]).await?;
        let read = |row| {
            Ok(Letter {
                matter,
                email: column(row, 0)?,
                name: column(row, 1)?,
                organisation: column(row, 2)?,
                invited_by: column(row, 3)?,
                lang: column(row, 4)?,
                expires_at: Millis(column(row, 5)?),
            })
        };
        found.first().map(read).transpose()
    }

    /// Keeps the hash of the token that a mail is about to carry; one of an earlier try is worth nothing from then on.
    pub async fn put_token(&self, tenant: TenantId, matter: Matter, id: Uuid, hash: &Hash32) -> Result<(), PostgresError> {
        let doing = "keep the hash of a token";
        let sql = match matter {
            Matter::Invitation => include_str!("../sql/put_invitation_token.sql"),
            Matter::PasswordReset => include_str!("../sql/put_password_reset_token.sql"),
            // It lets nobody in.
            Matter::TokenReuse => return Ok(()),
        };
        must_exist(&self.ask_within(tenant, doing, sql, &[&id, &hash.as_slice()]).await?, doing)
    }
}

/// Invites somebody within a transaction.
pub(super) async fn invite(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    by: &By,
    new: &NewInvitation,
    token_hash: Option<&Hash32>,
    now: Millis,
) -> Result<InvitationId, PostgresError> {
    let id = InvitationId(Uuid::now_v7());
    let (role, grants) = (new.role.map(Role::as_str), Json(stored(&new.grants)));
    let inviter = match by.actor {
        Actor::Person(user) => Some(user.0),
        _ => None,
    };
    let hash = token_hash.map(|hash| hash.as_slice());
    rows(
        transaction,
        "invite somebody",
        include_str!("../sql/create_invitation.sql"),
        &[
            &tenant.0,
            &id.0,
            &new.email,
            &new.name,
            &role,
            &grants,
            &new.lang,
            &inviter,
            &hash,
            &now.0,
            &new.expires_at.0,
        ],
    )
    .await?;
    if token_hash.is_none() {
        post(transaction, tenant, id.0, Matter::Invitation, now).await?;
    }
    let deed = Deed::plain("person.invite", "invitation", id).after(&shown(new.role, &new.grants));
    audit::append(transaction, tenant, by, &deed).await?;
    Ok(id)
}

/// Posts a mail within a transaction.
pub(super) async fn post(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    id: Uuid,
    matter: Matter,
    now: Millis,
) -> Result<(), PostgresError> {
    let sql = include_str!("../sql/add_mail_job.sql");
    rows(transaction, "post a mail", sql, &[&tenant.0, &id, &matter.as_str(), &now.0])
        .await
        .map(drop)
}
