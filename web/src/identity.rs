//! Who calls: a person with a session cookie or a program with an API key, and what they may do.

pub mod access_token;
pub mod admission;
pub mod company;
pub mod cross_site;
pub mod grant;
pub mod key;
pub mod limits;
pub mod pairing;
pub mod password;
pub mod password_rules;
pub mod platform;
pub mod screen;
pub mod second_factor;
pub mod second_step;
pub mod session;
pub mod sign_in;
pub mod token;

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};
use trunkline_core::access::{Access, Permission, Role, Sight};
use trunkline_core::audit::{Actor, By};
use trunkline_core::facts::Direction;
use trunkline_core::id::{BusinessId, KeyId, LinkId, TenantId, UserId};
use trunkline_core::instant::Millis;
use trunkline_core::platform::PlatformPermissions;
use trunkline_stores::postgres::row::Opening;
use trunkline_stores::postgres::{BusinessEntry, PostgresError};

use self::session::Held;
use crate::error::{Kind, Problem};
use crate::request::Asked;
use crate::state::AppState;

/// Paths that are open to somebody who has to set up a second factor first.
const ENROLLING: [&str; 3] = ["/account", "/signout", "/signin"];

/// A store that has not said by then whose a credential is stands still: whoever asks is told to come again, while most still wait.
const CHECK_WITHIN: Duration = Duration::from_secs(10);

/// A person or a program.
#[derive(Debug, Clone)]
pub enum Who {
    /// Signed in with a browser.
    Person(Person),
    /// With an API key.
    Program {
        /// Which key.
        key: KeyId,
        /// What it is for.
        name: String,
    },
    /// A screen without a seat, by its link.
    Screen {
        /// Which link.
        link: LinkId,
        /// Where it hangs.
        name: String,
        /// Calls of this direction only.
        direction: Option<Direction>,
    },
}

/// A signed-in person.
#[derive(Debug, Clone)]
pub struct Person {
    /// Which user.
    pub user: UserId,
    /// The organisation they belong to: the caller's, but for somebody of the platform who has another one open.
    pub home: TenantId,
    /// Name as shown.
    pub name: String,
    /// Address they sign in with.
    pub email: String,
    /// Role everywhere in the organisation, if any.
    pub role: Option<Role>,
    /// The session, and how it is shown.
    pub session: session::Held,
    /// The organisation demands a second factor and there is none: nothing is open but setting it up.
    pub must_enrol: bool,
}

/// Who makes this request. As a handler's argument it refuses requests without a valid credential.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The organisation whose things they see; no other's.
    pub tenant: TenantId,
    /// Everything they may do.
    pub access: Access,
    /// Person or program.
    pub who: Who,
    /// What they may do on the platform; nothing for everybody who belongs to an organisation.
    pub platform: PlatformPermissions,
    /// The organisation whose data they have opened, if they run the platform: then it is `tenant`.
    pub opening: Option<Opening>,
    /// Address the request came from.
    pub source: Option<IpAddr>,
    /// The credential itself ends then: an access token's does.
    pub until: Option<Millis>,
}

impl Caller {
    /// Refuses unless the caller has the permission everywhere in the organisation.
    pub fn needs(&self, permission: Permission) -> Result<(), Problem> {
        if self.access.may(permission) {
            Ok(())
        } else {
            Err(self.refusal(permission))
        }
    }

    /// Refuses unless the caller has the permission for the whole of one business. One of which they see nothing does not exist for them.
    pub fn needs_in(&self, permission: Permission, business: BusinessId) -> Result<(), Problem> {
        if self.access.may_in(permission, business) {
            return Ok(());
        }
        match self.access.sight(Permission::Live).agents(business) {
            Some(_) => Err(self.refusal(permission)),
            None => Err(Problem::not_found()),
        }
    }

    /// Whose calls the caller has the permission for; refuses when it is nobody's.
    pub fn sight(&self, permission: Permission) -> Result<Sight, Problem> {
        let sight = self.access.sight(permission);
        if sight.is_empty() {
            Err(self.refusal(permission))
        } else {
            Ok(sight)
        }
    }

    fn refusal(&self, permission: Permission) -> Problem {
        tracing::info!(target: "audit", event = "authz.role", tenant = %self.tenant, permission = permission.scope(),
            request_id = %crate::request::current_id(), "refused");
        let detail = match &self.who {
            Who::Person(_) => "Your role does not include this.".to_owned(),
            Who::Screen { .. } => "A screen without a seat shows its board and nothing else.".to_owned(),
            Who::Program { .. } => format!("This API key lacks the scope {}.", permission.scope()),
        };
        Problem::new(Kind::Forbidden, detail)
    }

    /// Whether a business is one of which the caller sees something; others do not exist for them.
    pub fn knows(&self, state: &AppState, business: BusinessId) -> bool {
        let ours = |entry: &BusinessEntry| entry.tenant == self.tenant;
        state.directory.borrow().businesses.get(&business).is_some_and(ours)
            && self.access.sight(Permission::Live).agents(business).is_some()
    }

    /// Whether the caller has the permission for one call.
    pub fn sees(&self, permission: Permission, business: Option<BusinessId>, agent: Option<&str>) -> bool {
        self.access.sight(permission).sees(business, agent)
    }

    /// Who acts, for the record of deeds.
    pub fn by(&self) -> By {
        let (actor, name) = match &self.who {
            Who::Person(person) if self.platform != PlatformPermissions::default() => (Actor::Platform(person.user), person.name.clone()),
            Who::Person(person) => (Actor::Person(person.user), person.name.clone()),
            Who::Program { key, name } => (Actor::Program(*key), name.clone()),
            Who::Screen { name, .. } => (Actor::Visitor, name.clone()),
        };
        By {
            actor,
            name,
            source: self.source,
            request: crate::request::current_id(),
        }
    }

    /// Who acts, for the request's line in the log: ids, no names.
    fn asked(&self) -> Asked {
        let actor = match &self.who {
            Who::Person(person) => format!("person {}", person.user),
            Who::Program { key, .. } => format!("key {key}"),
            Who::Screen { link, .. } => format!("screen {link}"),
        };
        Asked {
            tenant: self.tenant,
            actor,
        }
    }

    /// The person, if it is one.
    pub fn person(&self) -> Option<&Person> {
        match &self.who {
            Who::Person(person) => Some(person),
            Who::Program { .. } | Who::Screen { .. } => None,
        }
    }

    fn must_enrol(&self) -> bool {
        self.person().is_some_and(|person| person.must_enrol)
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

    /// True while the credential still holds and allows what it did; streams ask every few seconds (LV-06, S-011).
    pub async fn still_holds(&self, state: &AppState) -> bool {
        if self.until.is_some_and(|until| until <= session::now()) {
            return false;
        }
        let now = match &self.who {
            Who::Person(person) => match &person.session {
                Held::Cookie { key, .. } => session::find(state, key, self.source).await.map(|found| {
                    let same = |caller: &Caller| caller.tenant == self.tenant && !caller.must_enrol();
                    found.filter(same).map(|caller| caller.access)
                }),
                Held::Api { id, .. } => match access_token::look(state, person.home, *id, person.user).await {
                    Ok(Some(_)) if self.opening.is_some() => platform::still_open(state, self, person).await,
                    found => found,
                },
            },
            Who::Program { key, .. } => key::look(state, self.tenant, *key).await,
            Who::Screen { link, .. } => screen::look(state, self.tenant, *link).await,
        };
        match now {
            Ok(access) => access.is_some_and(|access| access == self.access) && self.check_suspended(state).is_ok(),
            // Postgres away: what was seen is shown on, but nobody new gets in.
            Err(_) => true,
        }
    }
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let state = state_of(&request)?;
            // Nobody is let in because it could not be seen in time that they may not come in (S-143).
            let found = tokio::time::timeout(CHECK_WITHIN, identify(&request, state)).await;
            let caller = found.unwrap_or_else(|_| Err(Problem::unavailable("check a credential", "no answer in time")))?;
            // Also then one may leave.
            if request.path() != "/signout" {
                caller.check_suspended(state)?;
            }
            request.extensions_mut().insert(caller.asked());
            Ok(caller)
        })
    }
}

fn state_of(request: &HttpRequest) -> Result<&web::Data<AppState>, Problem> {
    let state = request.app_data::<web::Data<AppState>>();
    state.ok_or_else(|| Problem::internal("find the application's state", "listener without state"))
}

async fn identify(request: &HttpRequest, state: &web::Data<AppState>) -> Result<Caller, Problem> {
    let unauthenticated = || {
        Problem::new(
            Kind::Unauthenticated,
            "Sign in, or send an API key or an access token: Authorization: Bearer ...",
        )
    };
    let source = crate::request::client_address(request, &state.settings.server.trusted_proxies);
    if let Some(source) = &source {
        state.limits.check_address(source)?;
    }
    // A header is meant; a cookie is sent along by browsers. So the header decides when there is one.
    if let Some(value) = request.headers().get(header::AUTHORIZATION) {
        let text = value.to_str().ok().and_then(|text| text.split_once(' '));
        let key = text
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, key)| key.trim());
        let key = key.ok_or_else(unauthenticated)?;
        let found = match access_token::is_token(key) {
            true => access_token::find(state, key, source).await,
            false => key::find(state, key, source).await,
        };
        let caller = found.map_err(away)?.ok_or_else(unauthenticated)?;
        state.limits.check_caller(&caller.who)?;
        // A token was given out before the organisation demanded a second factor.
        return if caller.must_enrol() { Err(enrol_first()) } else { Ok(caller) };
    }
    let secure = state.settings.server.secure();
    let Some(session) = session::of(request, secure) else {
        if let Some(token) = screen::of(request, secure) {
            let found = screen::find(state, &token, source).await.map_err(away)?;
            return found.ok_or_else(unauthenticated);
        }
        return Err(match session::step_of(request, secure) {
            Some(_) => Problem::new(Kind::SecondFactor, "Type the code of your authenticator app first."),
            None => unauthenticated(),
        });
    };
    let found = session::enter(state, &session, source).await.map_err(away)?;
    let (caller, next) = found.ok_or_else(unauthenticated)?;
    if let Some(next) = next {
        request.extensions_mut().insert(next);
    }
    state.limits.check_caller(&caller.who)?;
    if caller.must_enrol() && !ENROLLING.iter().any(|start| request.path().starts_with(start)) {
        return Err(enrol_first());
    }
    Ok(caller)
}

fn enrol_first() -> Problem {
    let detail = "Your organisation demands a second factor; set it up on the page of your account.";
    Problem::new(Kind::EnrolFirst, detail)
}

fn away(error: PostgresError) -> Problem {
    if error.is_passing() {
        Problem::unavailable("check a credential", error)
    } else {
        Problem::internal("check a credential", error)
    }
}
