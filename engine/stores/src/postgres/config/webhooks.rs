//! Endpoints of outbound webhooks. Their secrets go in here and come out only for a delivery.

use secrecy::SecretString;
use serde_json::json;
use trunkline_core::audit::{By, Deed};
use trunkline_core::id::{BusinessId, EndpointId, TenantId};
use trunkline_core::instant::Millis;
use uuid::Uuid;

use super::secrets::WEBHOOK_SECRET;
use super::{Config, audit, column, must_exist, rows};
use crate::postgres::{PostgresError, tenant};

/// An endpoint as listed: never its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookEndpoint {
    /// Its id.
    pub id: EndpointId,
    /// Of one business, or of all.
    pub business: Option<BusinessId>,
    /// Where deliveries go.
    pub url: String,
    /// What is told.
    pub events: Vec<String>,
    /// When it was made.
    pub created_at: Millis,
    /// The first failure since the last success.
    pub failing_since: Option<Millis>,
    /// When it was switched off.
    pub disabled_at: Option<Millis>,
    /// Why.
    pub disabled_reason: String,
}

/// An endpoint to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewWebhook<'a> {
    /// Of one business, or of all.
    pub business: Option<BusinessId>,
    /// Where deliveries go.
    pub url: &'a str,
    /// What is told.
    pub events: &'a [&'a str],
    /// What deliveries are signed with.
    pub secret: &'a SecretString,
}

/// What an endpoint becomes.
#[derive(Debug, Clone, Copy)]
pub struct WebhookChange<'a> {
    /// Where deliveries go.
    pub url: &'a str,
    /// What is told.
    pub events: &'a [&'a str],
    /// Whether deliveries are made.
    pub enabled: bool,
}

/// Where a delivery goes.
#[derive(Debug, Clone)]
pub struct WebhookTarget {
    /// Address.
    pub url: String,
    /// What it is signed with.
    pub secret: SecretString,
    /// What it is signed with as well, for a while after a rotation.
    pub previous: Option<SecretString>,
    /// Nothing is to be sent.
    pub disabled: bool,
}

impl Config {
    /// Makes an endpoint.
    pub async fn create_webhook(&self, tenant: TenantId, by: &By, new: &NewWebhook<'_>, now: Millis) -> Result<EndpointId, PostgresError> {
        let doing = "make a webhook endpoint";
        let id = Uuid::now_v7();
        let business = new.business.map(|business| business.0);
        let mut client = self.client(doing).await?;
        let transaction = tenant::begin(&mut client, tenant, doing).await?;
        let create = include_str!("../sql/create_webhook.sql");
        rows(
            &transaction,
            doing,
            create,
            &[&tenant.0, &id, &business, &new.url, &new.events, &now.0],
        )
        .await?;
        let keep = include_str!("../sql/create_webhook_secret.sql");
        let secret = self.seal(tenant, WEBHOOK_SECRET, id, new.secret);
        rows(&transaction, doing, keep, &[&tenant.0, &id, &secret]).await?;
        let deed = Deed::plain("webhook.create", "webhook_endpoint", EndpointId(id))
            .after(&json!({ "url": new.url, "events": new.events, "business": new.business.map(|business| business.to_string()) }));
        audit::append(&transaction, tenant, by, &deed).await?;
        tenant::commit(transaction, doing).await?;
        Ok(EndpointId(id))
    }

    /// Endpoints of a tenant, oldest first; one or all.
    pub async fn webhooks(&self, tenant: TenantId, id: Option<EndpointId>) -> Result<Vec<WebhookEndpoint>, PostgresError> {
        let id = id.map(|id| id.0);
        let sql = include_str!("../sql/webhooks.sql");
        let found = self.ask_within(tenant, "list webhook endpoints", sql, &[&id]).await?;
        let read = |row| {
            Ok(WebhookEndpoint {
                id: EndpointId(column(row, 0)?),
                business: column::<Option<Uuid>>(row, 1)?.map(BusinessId),
                url: column(row, 2)?,
                events: column(row, 3)?,
                created_at: Millis(column(row, 4)?),
                failing_since: column::<Option<i64>>(row, 5)?.map(Millis),
                disabled_at: column::<Option<i64>>(row, 6)?.map(Millis),
                disabled_reason: column(row, 7)?,
            })
        };
        found.iter().map(read).collect()
    }

    /// Changes an endpoint. Switched on again it begins without a history of failures.
    pub async fn update_webhook(
        &self,
        tenant: TenantId,
        by: &By,
        id: EndpointId,
        change: &WebhookChange<'_>,
        now: Millis,
    ) -> Result<(), PostgresError> {
        let doing = "change a webhook endpoint";
        let sql = include_str!("../sql/update_webhook.sql");
        let deed = Deed::plain("webhook.change", "webhook_endpoint", id)
            .after(&json!({ "url": change.url, "events": change.events, "enabled": change.enabled }));
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 5] = [&id.0, &change.url, &change.events, &change.enabled, &now.0];
        must_exist(&self.change(tenant, (by, &deed), doing, sql, &parameters).await?, doing)
    }

    /// Gives an endpoint another secret. Until `until` deliveries are signed with both, so that the receiver can change at its own time.
    pub async fn rotate_webhook_secret(
        &self,
        tenant: TenantId,
        by: &By,
        id: EndpointId,
        secret: &SecretString,
        until: Millis,
    ) -> Result<(), PostgresError> {
        let doing = "rotate the secret of a webhook endpoint";
        let sealed = self.seal(tenant, WEBHOOK_SECRET, id.0, secret);
        let sql = include_str!("../sql/rotate_webhook_secret.sql");
        let deed = Deed::plain("webhook.rotate", "webhook_endpoint", id);
        must_exist(
            &self.change(tenant, (by, &deed), doing, sql, &[&id.0, &sealed, &until.0]).await?,
            doing,
        )
    }

    /// Removes an endpoint; what waits for it is cancelled.
    pub async fn delete_webhook(&self, tenant: TenantId, by: &By, id: EndpointId, now: Millis) -> Result<(), PostgresError> {
        let doing = "remove a webhook endpoint";
        let mut client = self.client(doing).await?;
        let transaction = tenant::begin(&mut client, tenant, doing).await?;
        let gone = rows(&transaction, doing, include_str!("../sql/delete_webhook.sql"), &[&id.0]).await?;
        must_exist(&gone, doing)?;
        rows(&transaction, doing, include_str!("../sql/end_jobs_of.sql"), &[&id.0, &now.0]).await?;
        audit::append(&transaction, tenant, by, &Deed::plain("webhook.delete", "webhook_endpoint", id)).await?;
        tenant::commit(transaction, doing).await
    }

    /// Where deliveries of an endpoint go; `None` when it is gone.
    pub async fn webhook_target(&self, tenant: TenantId, id: EndpointId, now: Millis) -> Result<Option<WebhookTarget>, PostgresError> {
        let doing = "read where a webhook goes";
        let sql = include_str!("../sql/webhook_target.sql");
        let found = self.ask_within(tenant, doing, sql, &[&id.0, &now.0]).await?;
        let open = |stored: &str| {
            let secret = self.open(tenant, WEBHOOK_SECRET, id.0, stored);
            secret.map_err(|why| PostgresError::Unreadable { doing, why })
        };
        let read = |row| {
            Ok(WebhookTarget {
                url: column(row, 0)?,
                secret: open(column(row, 1)?)?,
                previous: column::<Option<&str>>(row, 2)?.map(open).transpose()?,
                disabled: column(row, 3)?,
            })
        };
        found.first().map(read).transpose()
    }
}
