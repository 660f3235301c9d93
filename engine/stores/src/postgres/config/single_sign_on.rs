//! The provider that an organisation's people sign in at, and who they are there.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use deadpool_postgres::Transaction;
use secrecy::SecretString;
use serde_json::json;
use trunkline_core::access::Role;
use trunkline_core::audit::{Actor, By, Deed};
use trunkline_core::id::{InvitationId, TenantId, UserId};
use trunkline_core::instant::Millis;

use super::grants::{read_grants, role};
use super::identity::{insert_user, read_role};
use super::secrets::CLIENT_SECRET;
use super::{Config, audit, column, must_exist, rows, sessions};
use crate::postgres::row::{NewSession, NewUser};
use crate::postgres::{PostgresError, tenant};

/// A provider and how it is used.
#[derive(Debug, Clone)]
pub struct SingleSignOn {
    /// Who it is.
    pub issuer: String,
    /// Our name there.
    pub client_id: String,
    /// And our secret.
    pub client_secret: SecretString,
    /// Passwords are for owners only.
    pub required: bool,
    /// Role of somebody who comes for the first time and was not invited; none: they do not come in.
    pub first_role: Option<Role>,
    /// Mail domains whose addresses are to lead there, lower case.
    pub domains: Vec<String>,
    /// When it was changed.
    pub changed_at: Millis,
}

/// A mail domain of an organisation: it leads to its provider when it is proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailDomain {
    /// Which one.
    pub domain: String,
    /// What has to stand in its DNS.
    pub token: String,
    /// Since when it is proved, and by what.
    pub proved: Option<(Millis, Proof)>,
    /// When it was last looked, and what was there.
    pub looked: Option<(Millis, Seen)>,
}

/// Whose word it is that a domain belongs to an organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The domain's own DNS.
    Dns,
    /// Whoever runs the installation.
    Operator,
}

/// What a look at the DNS of a domain found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// The record that proves it.
    Record,
    /// No record of that name.
    Nothing,
    /// Records that say something else.
    Other,
    /// Its DNS did not answer.
    NoAnswer,
    /// The record, and another organisation has proved the domain before.
    Taken,
}

impl Proof {
    /// As it is stored and sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Proof::Dns => "dns",
            Proof::Operator => "operator",
        }
    }

    fn parse(text: &str) -> Option<Proof> {
        [Proof::Dns, Proof::Operator].into_iter().find(|proof| proof.as_str() == text)
    }
}

impl Seen {
    /// All of them.
    pub const ALL: [Seen; 5] = [Seen::Record, Seen::Nothing, Seen::Other, Seen::NoAnswer, Seen::Taken];

    /// As it is stored and sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Seen::Record => "record",
            Seen::Nothing => "nothing",
            Seen::Other => "other",
            Seen::NoAnswer => "no_answer",
            Seen::Taken => "taken",
        }
    }

    fn parse(text: &str) -> Option<Seen> {
        Seen::ALL.into_iter().find(|seen| seen.as_str() == text)
    }
}

/// Somebody whom the provider has sent.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// The provider.
    pub issuer: &'a str,
    /// Our name there.
    pub client_id: &'a str,
    /// Its name for them.
    pub subject: &'a str,
    /// Their address, lower case; the provider has made sure of it.
    pub email: &'a str,
    /// Their name, should they be new.
    pub name: &'a str,
}

/// What became of somebody whom the provider has sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrived {
    /// They are in.
    In(UserId),
    /// The organisation has another provider by now, or none.
    Changed,
    /// They may not sign in.
    Disabled,
    /// Nobody has invited them, and nobody comes in without.
    Uninvited,
    /// Their address belongs to somebody whom the provider knows by another name.
    Otherwise,
    /// Their address belongs to somebody of another organisation.
    Elsewhere,
}

impl Config {
    /// The provider of an organisation.
    pub async fn single_sign_on(&self, tenant: TenantId) -> Result<Option<SingleSignOn>, PostgresError> {
        let doing = "read single sign-on";
        let found = self
            .ask_within(tenant, doing, include_str!("../sql/single_sign_on.sql"), &[])
            .await?;
        let Some(row) = found.first() else { return Ok(None) };
        let secret = self.open(tenant, CLIENT_SECRET, tenant.0, column(row, 2)?);
        Ok(Some(SingleSignOn {
            issuer: column(row, 0)?,
            client_id: column(row, 1)?,
            client_secret: secret.map_err(|why| PostgresError::Unreadable { doing, why })?,
            required: column(row, 3)?,
            first_role: column::<Option<&str>>(row, 4)?.map(role).transpose()?,
            changed_at: Millis(column(row, 5)?),
            domains: column(row, 6)?,
        }))
    }

    /// The mail domains of an organisation, proved or not.
    pub async fn mail_domains(&self, tenant: TenantId) -> Result<Vec<MailDomain>, PostgresError> {
        let sql = include_str!("../sql/single_sign_on_domains.sql");
        let found = self.ask_within(tenant, "read mail domains", sql, &[]).await?;
        found.iter().map(read_domain).collect()
    }

    /// Notes what a look at a domain's DNS found that does not prove it.
    pub async fn look_at_domain(&self, tenant: TenantId, domain: &str, at: Millis, found: Seen) -> Result<(), PostgresError> {
        let doing = "note a look at a domain";
        let sql = include_str!("../sql/look_at_domain.sql");
        must_exist(
            &self.ask_within(tenant, doing, sql, &[&domain, &at.0, &found.as_str()]).await?,
            doing,
        )
    }

    /// From now on addresses of this domain lead to the organisation's provider. [`PostgresError::Taken`]: to another organisation's
    /// already; [`PostgresError::Missing`]: it does not wait for this domain.
    pub async fn prove_domain(&self, tenant: TenantId, by: &By, domain: &str, at: Millis, proof: Proof) -> Result<(), PostgresError> {
        let doing = "prove a domain";
        let seen = match proof {
            Proof::Dns => Some((at.0, Seen::Record.as_str())),
            Proof::Operator => None,
        };
        let (looked, found) = seen.unzip();
        let deed = Deed::plain("single_sign_on.prove", "organisation", tenant).after(&json!({ "domain": domain, "by": proof.as_str() }));
        let sql = include_str!("../sql/prove_domain.sql");
        let parameters: super::Parameters<'_> = &[&domain, &at.0, &proof.as_str(), &looked, &found];
        must_exist(&self.change(tenant, (by, &deed), doing, sql, parameters).await?, doing)
    }

    /// Takes a proof back; addresses of the domain lead nowhere.
    pub async fn withdraw_domain(&self, tenant: TenantId, by: &By, domain: &str) -> Result<(), PostgresError> {
        let doing = "withdraw a domain";
        let deed = Deed::plain("single_sign_on.withdraw", "organisation", tenant).after(&json!({ "domain": domain }));
        let sql = include_str!("../sql/withdraw_domain.sql");
        must_exist(&self.change(tenant, (by, &deed), doing, sql, &[&domain]).await?, doing)
    }

    /// Sets the provider of an organisation. Domains that it had stay as they are, new ones wait for their proof.
    pub async fn put_single_sign_on(&self, tenant: TenantId, by: &By, new: &SingleSignOn) -> Result<(), PostgresError> {
        let doing = "set single sign-on";
        let sealed = self.seal(tenant, CLIENT_SECRET, tenant.0, &new.client_secret);
        let first_role = new.first_role.map(Role::as_str);
        let mut client = self.client(doing).await?;
        let transaction = tenant::begin(&mut client, tenant, doing).await?;
        rows(
            &transaction,
            doing,
            include_str!("../sql/put_single_sign_on.sql"),
            &[
                &tenant.0,
                &new.issuer,
                &new.client_id,
                &sealed,
                &new.required,
                &first_role,
                &new.changed_at.0,
            ],
        )
        .await?;
        let forget = include_str!("../sql/forget_single_sign_on_domains.sql");
        rows(&transaction, doing, forget, &[&new.domains]).await?;
        let put = include_str!("../sql/put_single_sign_on_domains.sql");
        rows(&transaction, doing, put, &[&tenant.0, &new.domains]).await?;
        let deed = Deed::plain("single_sign_on.set", "organisation", tenant).after(&json!({
            "issuer": new.issuer, "client_id": new.client_id, "required": new.required, "first_role": first_role, "domains": new.domains,
        }));
        audit::append(&transaction, tenant, by, &deed).await?;
        tenant::commit(transaction, doing).await
    }

    /// Takes the provider of an organisation away; its people sign in with passwords again.
    pub async fn remove_single_sign_on(&self, tenant: TenantId, by: &By) -> Result<(), PostgresError> {
        let doing = "take single sign-on away";
        let deed = Deed::plain("single_sign_on.remove", "organisation", tenant);
        let sql = include_str!("../sql/delete_single_sign_on.sql");
        must_exist(&self.change(tenant, (by, &deed), doing, sql, &[&tenant.0]).await?, doing)
    }

    /// The organisation whose provider addresses of this domain lead to, since it has proved it: asked before a tenant is known.
    pub async fn single_sign_on_of(&self, domain: &str) -> Result<Option<TenantId>, PostgresError> {
        let sql = include_str!("../sql/single_sign_on_by_domain.sql");
        let found = self.ask("find single sign-on", sql, &[&domain]).await?;
        let tenant = found.first().map_or(Ok(None), |row| column(row, 0))?;
        Ok(tenant.map(TenantId))
    }

    /// Whether passwords are for owners only: not before a domain is proved, since nobody else could come in at all.
    pub async fn single_sign_on_required(&self, tenant: TenantId) -> Result<bool, PostgresError> {
        let sql = include_str!("../sql/single_sign_on_required.sql");
        let found = self.ask_within(tenant, "read single sign-on", sql, &[]).await?;
        found.first().map_or(Ok(false), |row| column(row, 0))
    }

    /// Lets in whom the provider has sent: known by its name for them, else by their address, else by an invitation, else with the role
    /// that newcomers have. `session` is made for whoever it is.
    pub async fn arrive(
        &self,
        tenant: TenantId,
        by: &By,
        arrival: &Arrival<'_>,
        now: Millis,
        session: impl FnOnce(UserId) -> NewSession,
    ) -> Result<Arrived, PostgresError> {
        let doing = "sign in by single sign-on";
        let mut client = self.client(doing).await?;
        let transaction = tenant::begin(&mut client, tenant, doing).await?;
        // Two who arrive for the first time at once are one after the other.
        let lock = include_str!("../sql/lock_single_sign_on.sql");
        let found = rows(&transaction, doing, lock, &[&arrival.issuer, &arrival.client_id]).await?;
        let Some(row) = found.first() else { return Ok(Arrived::Changed) };
        let first_role = column::<Option<&str>>(row, 0)?.map(role).transpose()?;
        let known = include_str!("../sql/user_by_identity.sql");
        let known = rows(&transaction, doing, known, &[&arrival.issuer, &arrival.subject]).await?;
        let user = match known.first() {
            Some(row) if column(row, 1)? => return Ok(Arrived::Disabled),
            Some(row) => UserId(column(row, 0)?),
            None => match meet(&transaction, tenant, by, arrival, first_role, now).await {
                Ok(Ok(user)) => user,
                Ok(Err(refused)) => return Ok(refused),
                Err(PostgresError::Taken { .. }) => return Ok(Arrived::Elsewhere),
                Err(error) => return Err(error),
            },
        };
        let new = session(user);
        sessions::insert(&transaction, tenant, &new, sessions::Kind::Provider).await?;
        let by = By {
            actor: Actor::Person(user),
            ..by.clone()
        };
        let deed = Deed::plain("session.begin", "user", user).after(&json!({ "provider": arrival.issuer }));
        audit::append(&transaction, tenant, &by, &deed).await?;
        tenant::commit(transaction, doing).await?;
        Ok(Arrived::In(user))
    }
}

fn read_domain(row: &tokio_postgres::Row) -> Result<MailDomain, PostgresError> {
    let (proved, by) = (column::<Option<i64>>(row, 2)?, column::<Option<&str>>(row, 3)?);
    let (looked, found) = (column::<Option<i64>>(row, 4)?, column::<Option<&str>>(row, 5)?);
    Ok(MailDomain {
        domain: column(row, 0)?,
        token: column(row, 1)?,
        proved: proved.map(Millis).zip(by.and_then(Proof::parse)),
        looked: looked.map(Millis).zip(found.and_then(Seen::parse)),
    })
}

/// Somebody whom the provider sends for the first time.
async fn meet(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    by: &By,
    arrival: &Arrival<'_>,
    first_role: Option<Role>,
    now: Millis,
) -> Result<Result<UserId, Arrived>, PostgresError> {
    let doing = "meet somebody by single sign-on";
    let there = include_str!("../sql/user_for_identity.sql");
    let there = rows(transaction, doing, there, &[&arrival.email, &arrival.issuer]).await?;
    let user = match there.first() {
        Some(row) if column(row, 1)? => return Ok(Err(Arrived::Disabled)),
        Some(row) if column(row, 2)? => return Ok(Err(Arrived::Otherwise)),
        Some(row) => UserId(column(row, 0)?),
        None => {
            let accept = include_str!("../sql/accept_invitation_of.sql");
            let invited = rows(transaction, doing, accept, &[&arrival.email, &now.0]).await?;
            let (role, grants) = match (invited.first(), first_role) {
                (Some(row), _) => (read_role(row, 1)?, read_grants(row, 2)?),
                (None, Some(role)) => (Some(role), Vec::new()),
                (None, None) => return Ok(Err(Arrived::Uninvited)),
            };
            let new = NewUser {
                email: arrival.email.to_owned(),
                name: arrival.name.to_owned(),
                role,
                grants,
                password_hash: no_password(),
            };
            let user = insert_user(transaction, tenant, by, &new).await?;
            if let Some(row) = invited.first() {
                let deed = Deed::plain("person.accept", "invitation", InvitationId(column(row, 0)?));
                audit::append(transaction, tenant, by, &deed).await?;
            }
            user
        }
    };
    let link = include_str!("../sql/link_identity.sql");
    let parameters: super::Parameters<'_> = &[&tenant.0, &arrival.issuer, &arrival.subject, &user.0, &now.0];
    rows(transaction, doing, link, parameters).await?;
    let deed = Deed::plain("person.link", "user", user).after(&json!({ "provider": arrival.issuer }));
    audit::append(transaction, tenant, by, &deed).await?;
    Ok(Ok(user))
}

/// The hash of no password: random instead of made from one, so that none fits.
fn no_password() -> SecretString {
    let (salt, hash) = (rand::random::<[u8; 16]>(), rand::random::<[u8; 32]>());
    let text = |bytes: &[u8]| STANDARD_NO_PAD.encode(bytes);
    SecretString::from(format!("$argon2id$v=19$m=19456,t=2,p=1${}${}", text(&salt), text(&hash)))
}
