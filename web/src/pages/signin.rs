//! Signing in and out.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use secrecy::SecretString;
use serde::Deserialize;

use crate::error::{Kind, Problem};
use crate::identity::{Caller, sign_in};
use crate::pages::html;
use crate::pages::shell::{Place, Shell};
use crate::state::AppState;

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

/// What the address carries.
#[derive(Debug, Default, Deserialize)]
pub struct Wanted {
    #[serde(default)]
    next: String,
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
            Ok(cookie) => {
                let mut response = go(&next);
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
        Kind::Unprocessable => "sign-in-empty",
        _ => return Err(refused),
    };
    let s = Shell::new(&request, Place::Nowhere, "sign-in");
    let wrong = s.l.t(key);
    // Not 401: browsers and the pages' own middleware would read that as "go and sign in".
    html(
        StatusCode::UNPROCESSABLE_ENTITY,
        &SignInPage {
            s,
            wrong,
            email,
            next: local(&next).to_owned(),
        },
    )
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

fn go(next: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, local(next).to_owned()))
        .finish()
}

/// Only a path of ours: nobody is sent to another site by a link to our sign-in.
fn local(next: &str) -> &str {
    let plain = next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\r', '\n', '\t']);
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
