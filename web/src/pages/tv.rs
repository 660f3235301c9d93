//! What a screen without a seat opens: its link, or a code to be typed by somebody who is signed in.

use actix_web::cookie::time::Duration as CookieDuration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use crate::error::{Kind, Problem};
use crate::identity::pairing::{LASTS, Paired};
use crate::identity::screen;
use crate::pages::html;
use crate::pages::shell::{Place, Shell};
use crate::request;
use crate::state::AppState;

/// The cookie that tells a waiting screen from others.
const PAIRING: &str = "trunkline_pairing";

/// The page with the code.
#[derive(Template)]
#[template(path = "tv.html")]
pub struct PairingPage {
    /// Frame.
    pub s: Shell,
    /// The code, in two groups.
    pub code: String,
    /// Where somebody signed in types it.
    pub place: String,
}

/// `GET /tv/{token}`: keeps the link's secret on the screen and opens the board.
pub async fn open(request: HttpRequest, state: web::Data<AppState>, token: web::Path<String>) -> Result<HttpResponse, Problem> {
    within_rate(&request, &state)?;
    go_with(&state, &request, &token).await
}

/// `GET /tv`: a code, until somebody has typed it.
pub async fn pair(request: HttpRequest, state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    within_rate(&request, &state)?;
    let kept = request.cookie(PAIRING).map(|cookie| cookie.value().to_owned());
    let (secret, paired) = match kept.map(|secret| (state.pairings.look(&secret), secret)) {
        Some((Paired::Gone, _)) | None => {
            let full = || Problem::new(Kind::Unavailable, "Too many screens wait for their link; try again.").retry_after(60);
            let secret = state.pairings.begin().ok_or_else(full)?;
            let paired = state.pairings.look(&secret);
            (secret, paired)
        }
        Some((paired, secret)) => (secret, paired),
    };
    let code = match paired {
        Paired::Done(token) => return go_with(&state, &request, &token).await,
        Paired::Waits(code) => code,
        Paired::Gone => return Err(Problem::internal("show a code", "a wait that has just begun is gone")),
    };
    let mut s = Shell::new(&request, Place::Nowhere, "pair-title");
    s.tv = true;
    let (front, back) = code.split_at(code.len() / 2);
    let page = PairingPage {
        s,
        code: format!("{front} {back}"),
        place: format!("{}/settings/screens", state.settings.server.origin()),
    };
    let mut response = html(StatusCode::OK, &page)?;
    let cookie = Cookie::build(PAIRING, secret)
        .path("/tv")
        .http_only(true)
        .secure(state.settings.server.secure())
        .same_site(SameSite::Strict)
        .max_age(CookieDuration::seconds(LASTS.as_secs() as i64))
        .finish();
    response
        .add_cookie(&cookie)
        .map_err(|error| Problem::internal("set a cookie", error))?;
    Ok(response)
}

/// `GET /tv/wait`: asked by the page every few seconds; nothing new is 204.
pub async fn wait(request: HttpRequest, state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    within_rate(&request, &state)?;
    let kept = request.cookie(PAIRING).map(|cookie| cookie.value().to_owned());
    match kept.map_or(Paired::Gone, |secret| state.pairings.look(&secret)) {
        Paired::Waits(_) => Ok(HttpResponse::NoContent().finish()),
        Paired::Done(token) => go_with(&state, &request, &token).await,
        Paired::Gone => Ok(go(&request, "/tv")),
    }
}

fn within_rate(request: &HttpRequest, state: &AppState) -> Result<(), Problem> {
    let address = request::client_address(request, &state.settings.server.trusted_proxies);
    address.map_or(Ok(()), |address| state.limits.check_address(&address))
}

/// Keeps the secret of a link on the screen and opens its board.
async fn go_with(state: &AppState, request: &HttpRequest, token: &str) -> Result<HttpResponse, Problem> {
    let found = screen::find(state, token, None).await;
    let caller = found
        .map_err(|error| Problem::unavailable("find a link of a screen", error))?
        .ok_or_else(Problem::not_found)?;
    let mut response = go(request, &screen::board(&caller));
    response
        .add_cookie(&screen::cookie(token, state.settings.server.secure()))
        .map_err(|error| Problem::internal("set the cookie of a screen", error))?;
    Ok(response)
}

fn go(request: &HttpRequest, address: &str) -> HttpResponse {
    if request.headers().contains_key("hx-request") {
        return HttpResponse::NoContent().insert_header(("hx-redirect", address)).finish();
    }
    HttpResponse::SeeOther().insert_header((header::LOCATION, address)).finish()
}
