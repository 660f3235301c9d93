//! Retell's events: checked, stored, acknowledged. Interprets nothing but routing fields (rules A1 to A13).

pub mod body;
pub mod caps;
pub mod meters;
pub mod senders;

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use bytes::Bytes;
use trunkline_core::door::{self, Family};
use trunkline_core::id::Kind as CallKind;
use trunkline_core::instant::Millis;
use trunkline_core::limit::INTAKE_BODY_BYTES;
use trunkline_core::record::Source;
use trunkline_core::signature::{self, Refused};
use trunkline_stores::spool::{Keeper, Kept};

use crate::error::{Kind, Problem};
use caps::Caps;
use meters::{Meters, Outcome};
use senders::{Sender, Senders};

/// Signature header of Retell. A name made once: looking one up by text would make it for every event.
static SIGNATURE: HeaderName = HeaderName::from_static("x-retell-signature");

/// What the intake needs; shared by its threads.
pub struct Intake {
    /// Keeps events: in the log, or in the spool while that is away.
    pub keeper: Arc<Keeper>,
    /// Who may send.
    pub senders: Arc<Senders>,
    /// How much at once.
    pub caps: Arc<Caps>,
    /// Counts.
    pub meters: Meters,
    /// Networks whose `X-Forwarded-For` counts.
    pub trusted_proxies: Vec<ipnet::IpNet>,
}

/// `POST /v1/retell/{token}`: the order of checks is rule A2.
pub async fn receive(request: &HttpRequest, token: &str, payload: web::Payload, intake: &Intake) -> HttpResponse {
    match take(request, token, payload, intake).await {
        Ok(response) => response,
        Err((outcome, problem)) => {
            intake.meters.refused(outcome);
            problem.error_response()
        }
    }
}

type Refusal = (Outcome, Problem);

async fn take(request: &HttpRequest, token: &str, payload: web::Payload, intake: &Intake) -> Result<HttpResponse, Refusal> {
    let started = Instant::now();
    let sender = intake
        .senders
        .find(token)
        .ok_or_else(|| (Outcome::UnknownToken, Problem::not_found().closing()))?;
    head(request, &sender, intake)?;
    let mut permit = intake.caps.enter().map_err(|_| overloaded())?;
    let body = body::read(payload, INTAKE_BODY_BYTES, &mut permit).await?;
    let now = clock();
    let mut values = request.headers().get_all(&SIGNATURE).map(HeaderValue::as_bytes);
    // More than one is refused, so two are as good as all of them.
    let (first, second) = (values.next(), values.next());
    let headers = [first.unwrap_or_default(), second.unwrap_or_default()];
    let count = usize::from(first.is_some()) + usize::from(second.is_some());
    signature::verify(&headers[..count], &body, &sender.keys, now).map_err(|refused| signature_refused(refused, intake))?;
    intake.meters.genuine();
    if !sender.within_rate() {
        let problem = Problem::new(Kind::TooMany, "This workspace sends more events than its limit allows.").retry_after(1);
        return Err((Outcome::RateLimited, problem));
    }
    let (routed, body) = door::route(body);
    let hook = match routed.family {
        Family::InboundHook(kind) => Some(kind),
        _ => None,
    };
    let meter = intake.meters.event(&routed.event);
    let set_aside = routed.set_aside;
    let record = door::record(routed, body, now, sender.tenant, sender.workspace, Source::Webhook);
    // A sender that hangs up here ends this request and its permit. What the log or the spool has been given stays given, and both
    // have limits of their own on what they hold.
    let stored = intake.keeper.keep(&record.header.key, record.encode(), now).await;
    if let Some(kind) = hook {
        return Ok(hook_answer(kind, stored.is_ok(), meter));
    }
    let kept = stored.map_err(|error| {
        tracing::warn!(%error, "event not acknowledged");
        (
            Outcome::LogAway,
            Problem::new(Kind::Unavailable, "The event could not be stored; send it again.").retry_after(1),
        )
    })?;
    if kept == Kept::Spooled {
        meter.spooled();
    }
    meter.kept(set_aside, started.elapsed(), now);
    Ok(HttpResponse::NoContent().finish())
}

/// All checks that need no body.
fn head(request: &HttpRequest, sender: &Sender, intake: &Intake) -> Result<(), Refusal> {
    if !sender.sources.is_empty() {
        let address = crate::request::client_address(request, &intake.trusted_proxies);
        if !address.is_some_and(|address| sender.sources.iter().any(|network| network.contains(&address))) {
            let problem = Problem::new(Kind::SourceAddress, "This workspace takes events from listed addresses only.").closing();
            return Err((Outcome::SourceAddress, problem));
        }
    }
    if request.method() != Method::POST {
        let problem = Problem::new(Kind::Method, "Events are sent with POST.").allow("POST").closing();
        return Err((Outcome::Method, problem));
    }
    let length = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > INTAKE_BODY_BYTES as u64) {
        return Err(body::too_large());
    }
    if !is_identity(request) {
        let problem = Problem::new(
            Kind::MediaType,
            "Send the body without a content coding; the signature covers it as it is.",
        )
        .closing();
        return Err((Outcome::ContentCoding, problem));
    }
    Ok(())
}

/// No content coding, or `identity` once. Several codings are refused, whatever they are.
fn is_identity(request: &HttpRequest) -> bool {
    let mut codings = request
        .headers()
        .get_all(header::CONTENT_ENCODING)
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(only), None) => only.trim_ascii().is_empty() || only.trim_ascii().eq_ignore_ascii_case(b"identity"),
        (Some(_), Some(_)) => false,
    }
}

/// A caller is waiting, so the hook's own answer is given even when the record of it could not be kept (rule A11).
fn hook_answer(kind: CallKind, recorded: bool, meter: &meters::EventMeter) -> HttpResponse {
    tracing::warn!(
        kind = kind.as_str(),
        recorded,
        "an inbound hook arrived at the event address; its URL is configured in the wrong place"
    );
    meter.hook(recorded);
    let answer: &'static [u8] = match kind {
        CallKind::Call => br#"{"call_inbound":{}}"#,
        CallKind::Chat => br#"{"chat_inbound":{}}"#,
    };
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/json"))
        .body(Bytes::from_static(answer))
}

fn signature_refused(refused: Refused, intake: &Intake) -> Refusal {
    let (outcome, detail) = match refused {
        Refused::Missing => (Outcome::SignatureMissing, "The signature header is missing."),
        Refused::Malformed => (Outcome::SignatureMalformed, "The signature header is not of the form v=...,d=...."),
        Refused::Expired => (
            Outcome::SignatureExpired,
            "The signature's time is more than five minutes from ours.",
        ),
        Refused::Wrong => (Outcome::SignatureWrong, "The signature does not belong to this body and key."),
    };
    if outcome == Outcome::SignatureExpired {
        intake.meters.stale();
    }
    (outcome, Problem::new(Kind::Signature, detail))
}

/// Rule A5: full, answered at once.
fn overloaded() -> Refusal {
    let problem = Problem::new(Kind::Unavailable, "More events at once than this node takes; send it again.")
        .retry_after(1)
        .closing();
    (Outcome::Overloaded, problem)
}

fn clock() -> Millis {
    // Before 1970 every signature is out of its window anyway.
    Millis(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as i64),
    )
}
