//! Who calls: a person with a session cookie or a program with an API key, and what they may do.

pub mod cross_site;
pub mod key;
pub mod password;
pub mod session;
pub mod sign_in;

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, web};
use trunkline_core::id::{KeyId, TenantId, UserId};
use trunkline_stores::postgres::PostgresError;
use trunkline_stores::postgres::row::Role;

use crate::error::{Kind, Problem};
use crate::state::AppState;

/// What can be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// See boards and calls in progress.
    Live,
    /// See the call log, transcripts, recordings.
    Calls,
    /// See how the engine runs: groups, actors, set-aside events.
    Operate,
    /// Change businesses, workspaces, users and keys.
    Configure,
}

/// All permissions, with the scope an API key needs for each.
pub const SCOPES: [(Permission, &str); 4] = [
    (Permission::Live, "live:read"),
    (Permission::Calls, "calls:read"),
    (Permission::Operate, "operate:read"),
    (Permission::Configure, "config:write"),
];

impl Permission {
    /// The scope an API key needs.
    pub fn scope(self) -> &'static str {
        SCOPES
            .iter()
            .find(|(permission, _)| *permission == self)
            .map(|(_, scope)| *scope)
            .unwrap_or_default()
    }

    fn is_of(self, role: Role) -> bool {
        match role {
            Role::Owner | Role::Admin => true,
            Role::Supervisor | Role::Analyst => matches!(self, Permission::Live | Permission::Calls),
            Role::Viewer => self == Permission::Live,
        }
    }
}

/// A person or a program.
#[derive(Debug, Clone)]
pub enum Who {
    /// Signed in with a browser.
    Person(Person),
    /// With an API key.
    Program {
        /// Which key.
        key: KeyId,
        /// What it may do.
        scopes: Vec<String>,
    },
}

/// A signed-in person.
#[derive(Debug, Clone)]
pub struct Person {
    /// Which user.
    pub user: UserId,
    /// Name as shown.
    pub name: String,
    /// Address they sign in with.
    pub email: String,
    /// What they may do.
    pub role: Role,
    /// The session.
    pub session: session::SessionKey,
}

/// Who makes this request. As a handler's argument it refuses requests without a valid credential.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The organisation whose things they see; no other's.
    pub tenant: TenantId,
    /// Person or program.
    pub who: Who,
}

impl Caller {
    /// Refuses unless the caller has the permission.
    pub fn needs(&self, permission: Permission) -> Result<(), Problem> {
        if self.may(permission) {
            return Ok(());
        }
        tracing::info!(target: "audit", event = "authz.role", tenant = %self.tenant, permission = permission.scope(),
            request_id = %crate::request::current_id(), "refused");
        let detail = match &self.who {
            Who::Person(_) => "Your role does not include this.".to_owned(),
            Who::Program { .. } => format!("This API key lacks the scope {}.", permission.scope()),
        };
        Err(Problem::new(Kind::Forbidden, detail))
    }

    /// Whether the caller has the permission.
    pub fn may(&self, permission: Permission) -> bool {
        match &self.who {
            Who::Person(person) => permission.is_of(person.role),
            Who::Program { scopes, .. } => scopes.iter().any(|scope| scope == permission.scope()),
        }
    }

    /// The person, if it is one.
    pub fn person(&self) -> Option<&Person> {
        match &self.who {
            Who::Person(person) => Some(person),
            Who::Program { .. } => None,
        }
    }

    /// What every form of this person carries and [`Caller::check_form`] wants back; empty for programs, which send no forms.
    pub fn form_token(&self) -> String {
        self.person().map(|person| person.session.form_token()).unwrap_or_default()
    }

    /// Refuses a form that this session did not give out.
    pub fn check_form(&self, token: &str) -> Result<(), Problem> {
        match self.person() {
            Some(person) if !person.session.gave_out(token) => Err(Problem::new(
                Kind::CrossSite,
                "The form is too old or was not ours; load the page again.",
            )),
            _ => Ok(()),
        }
    }

    /// True while the credential still holds; streams ask every few seconds (LV-06).
    pub async fn still_holds(&self, state: &AppState) -> bool {
        match &self.who {
            Who::Person(person) => match session::find(state, &person.session).await {
                Ok(found) => found.is_some_and(|caller| caller.tenant == self.tenant),
                // Postgres away: what was seen is shown on, but nobody new gets in.
                Err(_) => true,
            },
            Who::Program { key, .. } => match state.config.api_keys(self.tenant).await {
                Ok(keys) => keys.iter().any(|listed| listed.id == *key && !listed.revoked),
                Err(_) => true,
            },
        }
    }
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { identify(&request).await })
    }
}

async fn identify(request: &HttpRequest) -> Result<Caller, Problem> {
    let state = request
        .app_data::<web::Data<AppState>>()
        .ok_or_else(|| Problem::internal("find the application's state", "listener without state"))?;
    let unauthenticated = || {
        Problem::new(
            Kind::Unauthenticated,
            "Sign in, or send an API key: Authorization: Bearer sk_live_...",
        )
    };
    // A header is meant; a cookie is sent along by browsers. So the header decides when there is one.
    if let Some(value) = request.headers().get(header::AUTHORIZATION) {
        let text = value.to_str().ok().and_then(|text| text.split_once(' '));
        let key = text
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, key)| key.trim());
        return match key {
            Some(key) => key::find(state, key).await.map_err(away)?.ok_or_else(unauthenticated),
            None => Err(unauthenticated()),
        };
    }
    let Some(session) = session::of(request, state.settings.server.secure()) else {
        return Err(unauthenticated());
    };
    session::find(state, &session).await.map_err(away)?.ok_or_else(unauthenticated)
}

fn away(error: PostgresError) -> Problem {
    if error.is_passing() {
        Problem::unavailable("check a credential", error)
    } else {
        Problem::internal("check a credential", error)
    }
}
