//! The place of settings: what an organisation sets up, with a navigation of its own at the side.

pub mod audit;
pub mod business;
pub mod businesses;
pub mod keys;
pub mod organisation;
pub mod people;
pub mod person;
pub mod roles;
pub mod screens;
pub mod single_sign_on;
pub mod webhooks;
pub mod workspace;
pub mod workspaces;

use actix_web::http::{StatusCode, header};
use actix_web::middleware::from_fn;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use trunkline_core::access::{Access, Permission};

use crate::error::Problem;
use crate::identity::Caller;
use crate::pages::shell::{Place, Shell};
use crate::pages::{frame, problem};
use crate::state::AppState;

/// Parts of the settings in order: address, text, and the permission that opens it.
const PARTS: [(&str, &str, Permission); 10] = [
    ("/settings/people", "set-people", Permission::People),
    ("/settings/roles", "set-roles", Permission::Live),
    ("/settings/keys", "set-keys", Permission::Keys),
    ("/settings/single-sign-on", "set-single-sign-on", Permission::Organisation),
    ("/settings/businesses", "set-businesses", Permission::Businesses),
    ("/settings/workspaces", "set-workspaces", Permission::Workspaces),
    ("/settings/webhooks", "set-webhooks", Permission::Webhooks),
    ("/settings/screens", "set-screens", Permission::Links),
    ("/settings/audit", "set-audit", Permission::Audit),
    ("/settings/organisation", "set-organisation", Permission::Organisation),
];

/// One entry of the navigation at the side.
pub struct SideItem {
    /// Address.
    pub href: &'static str,
    /// Word.
    pub label: String,
    /// The page we are on belongs to it.
    pub current: bool,
}

/// Parts that are open to the reader.
pub fn side(s: &Shell) -> Vec<SideItem> {
    let path = s.here.split('?').next().unwrap_or_default();
    PARTS
        .iter()
        .filter(|(_, _, permission)| s.user.access.may_somewhere(*permission))
        .map(|(href, key, _)| SideItem {
            href,
            label: s.l.t(key),
            current: path == *href || path.strip_prefix(href).is_some_and(|rest| rest.starts_with('/')),
        })
        .collect()
}

/// Whether any part is open: then the main navigation has the place.
pub fn is_open(access: &Access) -> bool {
    PARTS.iter().any(|(_, _, permission)| access.may_somewhere(*permission))
}

/// Adds the routes.
pub fn configure(config: &mut web::ServiceConfig) {
    let page = |path: &str| web::resource(path.to_owned()).wrap(from_fn(problem::as_page));
    config
        .service(page("/settings").route(web::get().to(first)))
        .service(
            page("/settings/screens")
                .route(web::get().to(screens::show))
                .route(web::post().to(screens::create)),
        )
        .service(page("/settings/screens/{id}/revoke").route(web::post().to(screens::revoke)))
        .service(
            page("/settings/businesses")
                .route(web::get().to(businesses::show))
                .route(web::post().to(businesses::create)),
        )
        .service(
            page("/settings/businesses/{id}")
                .route(web::get().to(business::show))
                .route(web::post().to(business::save)),
        )
        .service(
            page("/settings/workspaces")
                .route(web::get().to(workspaces::show))
                .route(web::post().to(workspaces::link)),
        )
        .service(page("/settings/workspaces/{id}").route(web::get().to(workspace::show)))
        .service(page("/settings/workspaces/{id}/arrival").route(web::get().to(workspace::arrival)))
        .service(page("/settings/workspaces/{id}/{act}").route(web::post().to(workspace::act)))
        .service(
            page("/settings/webhooks")
                .route(web::get().to(webhooks::show))
                .route(web::post().to(webhooks::create)),
        )
        .service(page("/settings/webhooks/{id}/{act}").route(web::post().to(webhooks::act)))
        .service(
            page("/settings/people")
                .route(web::get().to(people::show))
                .route(web::post().to(people::invite)),
        )
        .service(page("/settings/people/invitations/{id}/{act}").route(web::post().to(people::act)))
        .service(
            page("/settings/people/{id}")
                .route(web::get().to(person::show))
                .route(web::post().to(person::save)),
        )
        .service(page("/settings/people/{id}/{act}").route(web::post().to(person::act)))
        .service(page("/settings/roles").route(web::get().to(roles::show)))
        .service(
            page("/settings/keys")
                .route(web::get().to(keys::show))
                .route(web::post().to(keys::create)),
        )
        .service(
            page("/settings/single-sign-on")
                .route(web::get().to(single_sign_on::show))
                .route(web::post().to(single_sign_on::save)),
        )
        .service(page("/settings/single-sign-on/check").route(web::post().to(single_sign_on::check)))
        .service(page("/settings/single-sign-on/remove").route(web::post().to(single_sign_on::remove)))
        .service(page("/settings/keys/{id}/revoke").route(web::post().to(keys::revoke)))
        .service(
            page("/settings/organisation")
                .route(web::get().to(organisation::show))
                .route(web::post().to(organisation::save)),
        )
        .service(page("/settings/audit").route(web::get().to(audit::show)))
        .service(page("/settings/audit.csv").route(web::get().to(audit::csv)))
        .service(page("/settings/audit.json").route(web::get().to(audit::json)));
}

/// `GET /settings`: the first part that is open.
pub async fn first(caller: Caller) -> Result<HttpResponse, Problem> {
    let open = PARTS.iter().find(|(_, _, permission)| caller.access.may_somewhere(*permission));
    match open {
        Some((href, _, _)) => Ok(go(href)),
        None => Err(caller.needs(PARTS[0].2).err().unwrap_or_else(Problem::not_found)),
    }
}

/// What the address says of a change that was just made.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Done {
    /// The text that says so, without `done-`.
    pub done: String,
}

impl Done {
    /// The text, if it is one of ours.
    pub fn said(&self, s: &Shell) -> String {
        let key = format!("done-{}", self.done);
        if !self.done.is_empty() && s.l.has(&key) {
            s.l.t(&key)
        } else {
            String::new()
        }
    }
}

/// What was typed into a form, and what is wrong with it.
#[derive(Default)]
pub struct Wrong(Vec<(String, String)>);

impl Wrong {
    /// The refusal in the reader's words, by field; one that is about no field stands at the top.
    pub fn of(problem: &Problem, s: &Shell) -> Wrong {
        if problem.errors().is_empty() {
            let key = format!("wrong-{}", problem.kind().code().replace('_', "-"));
            return Wrong(vec![(String::new(), s.l.or(&key, problem.detail()))]);
        }
        let told = problem.errors().iter().map(|error| {
            let key = format!("wrong-{}", error.code.replace('_', "-"));
            let field = error.pointer.trim_start_matches('/').to_owned();
            (field, s.l.or(&key, &error.detail))
        });
        Wrong(told.collect())
    }

    /// What is wrong with a field; empty when nothing is.
    pub fn at(&self, field: &str) -> &str {
        self.0
            .iter()
            .find(|(name, _)| name == field)
            .map_or("", |(_, words)| words.as_str())
    }

    /// Whether anything is wrong.
    pub fn any(&self) -> bool {
        !self.0.is_empty()
    }

    /// Status of a page that shows this beside its form.
    pub fn status(&self) -> StatusCode {
        if self.any() {
            StatusCode::UNPROCESSABLE_ENTITY
        } else {
            StatusCode::OK
        }
    }
}

/// The frame of a page of settings. After a form the page has the address of the page that the form was on.
fn shell(request: &HttpRequest, state: &AppState, caller: &Caller, title: &str, here: &str) -> Result<Shell, Problem> {
    let mut s = frame::shell(request, state, caller, Place::Settings, title, "")?;
    here.clone_into(&mut s.here);
    // The choice of a business has no meaning here.
    s.businesses.clear();
    Ok(s)
}

/// Goes on to another page of ours.
pub fn go(address: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, address.to_owned()))
        .finish()
}

/// Names of all time zones, for the list of suggestions.
fn zones() -> Vec<String> {
    jiff::tz::db().available().map(|name| name.to_string()).collect()
}

/// A number that may be left out; what is no number is refused with the field's name.
pub fn number(text: &str, field: &str) -> Result<Option<u32>, Problem> {
    match text.trim() {
        "" => Ok(None),
        text => text
            .parse()
            .map(Some)
            .map_err(|_| Problem::field(&format!("/{field}"), "no_number", "Write a whole number, or leave it empty.")),
    }
}
