//! Signing in and out, and the language one reads in.

use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use secrecy::SecretString;
use serde::Deserialize;

use crate::error::{Kind, Problem};
use crate::identity::sign_in::Entered;
use crate::identity::{Caller, sign_in};
use crate::l10n;
use crate::pages::shell::{Place, Shell};
use crate::pages::{format, html};
use crate::state::AppState;

/// How long a chosen language is kept: a year.
const LANGUAGE_KEPT: Duration = Duration::days(365);

/// The page.
#[derive(Template)]
#[template(path = "signin.html")]
pub struct SignInPage {
    /// Frame.
    pub s: Shell,
    /// What was wrong, in words.
    pub wrong: String,
    /// What was typed: nothing is lost on an error.
    pub email: String,
    /// Where to go on.
    pub next: String,
}

impl SignInPage {
    /// The way to single sign-on, which goes on to the same page.
    fn company(&self) -> String {
        format!("/signin/company?next={}", format::path_segment(&self.next))
    }
}

/// What the address carries.
#[derive(Debug, Default, Deserialize)]
pub struct Wanted {
    /// Where to go on.
    #[serde(default)]
    pub next: String,
}

/// What the form carries.
#[derive(Deserialize)]
pub struct Filled {
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: SecretString,
    #[serde(default)]
    next: String,
}

/// What the sign-out form carries.
#[derive(Deserialize)]
pub struct Leaving {
    #[serde(default)]
    form_token: String,
}

/// `GET /signin`.
pub async fn show(request: HttpRequest, wanted: web::Query<Wanted>, caller: Option<Caller>) -> Result<HttpResponse, Problem> {
    if caller.is_some() {
        return Ok(go(&wanted.next));
    }
    let s = Shell::new(&request, Place::Nowhere, "sign-in");
    html(
        StatusCode::OK,
        &SignInPage {
            s,
            wrong: String::new(),
            email: String::new(),
            next: local(&wanted.next).to_owned(),
        },
    )
}

/// `POST /signin`.
pub async fn enter(request: HttpRequest, state: web::Data<AppState>, form: web::Form<Filled>) -> Result<HttpResponse, Problem> {
    let Filled { email, password, next } = form.into_inner();
    let refused = if email.trim().is_empty() {
        Problem::field("/email", "empty", "empty")
    } else {
        match sign_in::sign_in(&state, &request, &email, password).await {
            Ok(entered) => {
                let (mut response, cookie) = match entered {
                    Entered::In(cookie) => (go(&next), cookie),
                    Entered::Code(cookie) => (to_code(&next), cookie),
                };
                response
                    .add_cookie(&cookie)
                    .map_err(|error| Problem::internal("set the session cookie", error))?;
                return Ok(response);
            }
            Err(problem) => problem,
        }
    };
    let key = match refused.kind() {
        Kind::Unauthenticated => "sign-in-wrong",
        Kind::TooMany => "sign-in-slow",
        Kind::CompanySignIn => "company-required",
        Kind::Unprocessable => "sign-in-empty",
        _ => return Err(refused),
    };
    let s = Shell::new(&request, Place::Nowhere, "sign-in");
    let wrong = s.l.t(key);
    // Not 401: browsers and the pages' own middleware would read that as "go and sign in".
    let status = match refused.kind() {
        Kind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let next = local(&next).to_owned();
    let mut response = html(status, &SignInPage { s, wrong, email, next })?;
    if let Some(seconds) = refused.seconds() {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    Ok(response)
}

/// Which language, and where to go on.
#[derive(Debug, Deserialize)]
pub struct Chosen {
    set: String,
    #[serde(default)]
    next: String,
}

/// `GET /language`: keeps the reader's language in a cookie. A link, so that it works before signing in and without scripts.
pub async fn language(chosen: web::Query<Chosen>) -> Result<HttpResponse, Problem> {
    let texts = l10n::languages().iter().find(|texts| texts.lang == chosen.set);
    let texts = texts.ok_or_else(|| Problem::field("set", "unknown", "There is no such language."))?;
    let next = if is_ours(&chosen.next) { chosen.next.as_str() } else { "/wall" };
    let mut response = HttpResponse::SeeOther().insert_header((header::LOCATION, next)).finish();
    let cookie = Cookie::build("lang", texts.lang)
        .path("/")
        .same_site(SameSite::Lax)
        .max_age(LANGUAGE_KEPT)
        .finish();
    response
        .add_cookie(&cookie)
        .map_err(|error| Problem::internal("set the language cookie", error))?;
    Ok(response)
}

/// `POST /signout`.
pub async fn leave(state: web::Data<AppState>, caller: Caller, form: web::Form<Leaving>) -> Result<HttpResponse, Problem> {
    caller.check_form(&form.form_token)?;
    let cookie = sign_in::sign_out(&state, &caller).await?;
    let mut response = go("/signin");
    if let Some(cookie) = cookie {
        response
            .add_cookie(&cookie)
            .map_err(|error| Problem::internal("end the session cookie", error))?;
    }
    Ok(response)
}

fn to_code(next: &str) -> HttpResponse {
    let address = format!("/signin/code?next={}", format::path_segment(local(next)));
    HttpResponse::SeeOther().insert_header((header::LOCATION, address)).finish()
}

/// On to a path of ours.
pub fn go(next: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, local(next).to_owned()))
        .finish()
}

/// A path on this site and nothing else.
fn is_ours(next: &str) -> bool {
    next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\r', '\n', '\t'])
}

/// Only a path of ours: nobody is sent to another site by a link to our sign-in.
pub fn local(next: &str) -> &str {
    let plain = is_ours(next);
    // Back to the form only after signing out; a link that leads there after signing in would go in a circle.
    if plain && (next == "/signin" || !next.starts_with("/signin")) {
        next
    } else {
        "/wall"
    }
}

#[cfg(test)]
mod tests {
    use super::local;

    #[test]
    fn the_way_on_stays_with_us() {
        assert_eq!(local("/calls?range=today"), "/calls?range=today");
        for elsewhere in [
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "",
            "javascript:alert(1)",
            "/signin?next=/signin",
        ] {
            assert_eq!(local(elsewhere), "/wall", "{elsewhere}");
        }
    }
}
