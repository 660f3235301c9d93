//! `GET /v1/board`: the wallboard as JSON.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get, web};

use super::query::Parameters;
use crate::error::{Problem, Written};
use crate::identity::Caller;
use crate::state::AppState;

/// The live board of a scope. Moments are ms since the epoch; ratios carry numerator and denominator; empty is null, not 0.
#[utoipa::path(tag = "live", operation_id = "getBoard", params(
    ("business" = Option<String>, Query, description = "One business; without: all of the organisation"),
    ("agent" = Option<String>, Query, description = "One agent, by Retell's id"),
    ("direction" = Option<String>, Query, description = "inbound or outbound"),
    ("channel" = Option<String>, Query, description = "phone, web or chat"),
    ("window_minutes" = Option<u32>, Query, description = "The last minutes (5 to 1440); without: the day of the business"),
    ("figures" = Option<bool>, Query, description = "With every metric of the catalogue"),
), responses(
    (status = 200, description = "The board", body = Object, example = json!({"as_of": 1795356000000i64, "tiles": [{"metric": "service_level_ai",
        "value": 0.97, "numerator": 97.0, "denominator": 100.0, "unit": "share", "state": "ok"}], "now": {"in_progress": 12}})),
    (status = 401, description = "No credential", body = Written), (status = 404, description = "No such business", body = Written),
    (status = 422, description = "A parameter is refused", body = Written),
))]
#[get("/v1/board")]
pub async fn board(caller: Caller, request: HttpRequest, state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    let mut parameters = Parameters::of(&request)?;
    let scope = parameters.board_scope(&state, &caller)?;
    parameters.end()?;
    let board = state.live.board(caller.tenant, &scope);
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(&*board))
}
