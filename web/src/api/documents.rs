//! The description of the API: OpenAPI as JSON, a page of it that needs nothing from elsewhere, and the list of problems.

use std::fmt::Write as _;
use std::sync::LazyLock;

use actix_web::{HttpResponse, get};
use serde_json::Value;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use crate::error::ALL_KINDS;
use crate::pages::assets;

/// Everything under `/v1`.
#[derive(OpenApi)]
#[openapi(
    info(title = "Trunkline", description = "Live boards, calls, transcripts and metrics of AI phone agents. Moments are RFC 3339 in UTC \
        unless said otherwise; missing is null; lists are paged by signed cursors; refusals are problem details (RFC 9457). \
        Reads that change seldom carry an ETag and answer 304 to an If-None-Match that names it. A POST with an Idempotency-Key (1 to 255 \
        characters) is done once: the same request under the same key within 24 hours gets the same answer, with Idempotency-Replayed: true.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")),
    paths(
        super::board::board, super::live::live_calls, super::live::live_call, super::calls::calls, super::call::call,
        super::call::turns, super::call::events, super::things::metrics, super::completeness::completeness,
        super::businesses::list, super::businesses::create, super::businesses::show, super::businesses::update,
        super::workspaces::list, super::workspaces::create, super::workspaces::show, super::workspaces::update, super::workspaces::add_key,
        super::workspaces::remove_key, super::workspaces::activity, super::workspaces::list_agents, super::workspaces::map_agent,
        super::workspaces::unmap_agent,
        super::things::set_aside, super::received::received, super::usage::usage, super::audit::entries,
        super::tv_links::list, super::tv_links::create, super::tv_links::show, super::tv_links::revoke,
        super::webhook_endpoints::list, super::webhook_endpoints::create, super::webhook_endpoints::show,
        super::webhook_endpoints::update, super::webhook_endpoints::rotate, super::webhook_endpoints::remove, crate::stream::stream,
        super::people::list, super::people::show, super::people::update, super::people::remove, super::people::end_sessions,
        super::invitations::list, super::invitations::create, super::invitations::show, super::invitations::resend,
        super::invitations::revoke, super::api_keys::list, super::api_keys::create, super::api_keys::show, super::api_keys::revoke,
        super::platform::overview, super::platform::list, super::platform::create, super::platform::show, super::platform::update,
        super::platform::open, super::platform::close, super::platform::deeds,
        super::organisation::show, super::organisation::update,
        super::permissions::permissions, super::me::show, super::me::update, super::me::change_password,
        super::tokens::create, super::tokens::refresh, super::tokens::revoke, super::tokens::keys,
        super::single_sign_on::show, super::single_sign_on::set, super::single_sign_on::check, super::single_sign_on::remove,
    ),
    tags(
        (name = "live", description = "What is going on now"), (name = "calls", description = "The call log"),
        (name = "metrics", description = "What is counted, and how"), (name = "configuration", description = "Businesses and Retell workspaces"),
        (name = "people", description = "Who works for the organisation"), (name = "api-keys", description = "Programs that may ask"), (name = "tokens", description = "Tokens that are good for minutes"),
        (name = "platform", description = "For those who run the platform; signed in, with a second factor"),
        (name = "usage", description = "What calls cost"), (name = "tv", description = "Screens without a seat"), (name = "audit", description = "Who did what"), (name = "webhooks", description = "Whom we tell"), (name = "operation", description = "How the engine runs"),
    ),
    modifiers(&Credential),
    security(("api_key" = [])),
)]
struct Description;

struct Credential;

impl Modify for Credential {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(
            "An API key (sk_live_..., or sk_test_... of an installation for trying) or an access token.",
        ));
        let components = document.components.get_or_insert_with(Default::default);
        components.add_security_scheme("api_key", SecurityScheme::Http(bearer.build()));
    }
}

/// The OpenAPI document.
pub fn description() -> Value {
    let mut document = serde_json::to_value(Description::openapi()).expect("the document holds texts and lists only");
    super::refusals::describe(&mut document);
    sorted(document)
}

/// Names in order, whatever the JSON library was built to do: the committed text must not depend on it.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(String, Value)> = fields.into_iter().collect();
            fields.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(fields.into_iter().map(|(name, value)| (name, sorted(value))).collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(sorted).collect()),
        plain => plain,
    }
}

static JSON: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", description()));
static PAGE: LazyLock<String> = LazyLock::new(|| page(&description()));
static ERRORS: LazyLock<String> = LazyLock::new(errors_page);

/// Paths cut at their slashes, with the methods that each takes, as `Allow` lists them.
static METHODS: LazyLock<Vec<(Vec<String>, String)>> = LazyLock::new(|| {
    let paths = description()["paths"].as_object().cloned().unwrap_or_default();
    let of = |(path, operations): (String, Value)| {
        let words = operations
            .as_object()
            .into_iter()
            .flatten()
            .map(|(method, _)| method.to_uppercase());
        let parts = path.split('/').map(str::to_owned).collect();
        (parts, words.collect::<Vec<_>>().join(", "))
    };
    paths.into_iter().map(of).collect()
});

/// The methods that an address of the API takes; `None` where there is nothing.
pub fn methods(path: &str) -> Option<&'static str> {
    let fits = |parts: &[String]| {
        let mut asked = path.split('/');
        let all = parts
            .iter()
            .all(|part| asked.next().is_some_and(|asked| part.starts_with('{') || part == asked));
        all && asked.next().is_none()
    };
    METHODS.iter().find(|(parts, _)| fits(parts)).map(|(_, methods)| methods.as_str())
}

/// The document, as committed in `web/openapi.json`.
pub fn description_text() -> &'static str {
    &JSON
}

/// `GET /openapi.json`
#[get("/openapi.json", wrap = "actix_web::middleware::from_fn(super::etag::conditional)")]
pub async fn openapi_json() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(description_text())
}

/// `GET /docs`
#[get("/docs")]
pub async fn docs_page() -> HttpResponse {
    HttpResponse::Ok().content_type("text/html; charset=utf-8").body(PAGE.as_str())
}

/// `GET /docs/errors`: where the `type` of a problem leads.
#[get("/docs/errors")]
pub async fn docs_errors() -> HttpResponse {
    HttpResponse::Ok().content_type("text/html; charset=utf-8").body(ERRORS.as_str())
}

fn frame(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <link rel=\"stylesheet\" href=\"{}/css/plain.css\"></head><body><main>{body}</main></body></html>",
        assets::prefix()
    )
}

fn page(document: &Value) -> String {
    let mut body = String::from(
        "<h1>Trunkline API</h1><p>The same as <a href=\"/openapi.json\">OpenAPI 3.1</a>. Send an API key with every request: \
         <code>Authorization: Bearer sk_live_...</code>. Refusals are <a href=\"/docs/errors\">problem details</a>.</p>",
    );
    scopes(&mut body);
    let operations = document["paths"].as_object().into_iter().flatten().flat_map(|(path, methods)| {
        methods
            .as_object()
            .into_iter()
            .flatten()
            .map(move |(method, operation)| (path, method, operation))
    });
    for (path, method, operation) in operations {
        let id = text(&operation["operationId"]);
        let _ = write!(
            body,
            "<section><h2 id=\"{id}\"><code>{} {}</code></h2>",
            escape(&method.to_uppercase()),
            escape(path)
        );
        let _ = write!(body, "<p>{} {}</p>", text(&operation["summary"]), text(&operation["description"]));
        parameters(&mut body, &operation["parameters"]);
        let _ = write!(
            body,
            "<pre><code>curl -H 'Authorization: Bearer sk_live_...' 'https://HOST{}'</code></pre>",
            escape(&example_address(path, &operation["parameters"]))
        );
        answers(&mut body, &operation["responses"]);
        body.push_str("</section>");
    }
    frame("Trunkline API", &body)
}

/// What can be allowed, and which role includes it: from the same list that guards every route.
fn scopes(body: &mut String) {
    body.push_str(
        "<h2 id=\"scopes\">Scopes and roles</h2><table><thead><tr><th scope=\"col\">Scope</th><th scope=\"col\">Allows</th>\
         <th scope=\"col\">In one business</th><th scope=\"col\">Roles that include it</th></tr></thead><tbody>",
    );
    for line in super::permissions::matrix() {
        let narrow = if line.reach == "business" { "yes" } else { "no" };
        let _ = write!(
            body,
            "<tr><td><code>{}</code></td><td>{}</td><td>{narrow}</td><td>{}</td></tr>",
            line.scope,
            escape(line.meaning),
            line.roles.join(", ")
        );
    }
    body.push_str("</tbody></table>");
}

fn parameters(body: &mut String, parameters: &Value) {
    let Some(parameters) = parameters.as_array().filter(|list| !list.is_empty()) else {
        return;
    };
    body.push_str(
        "<table><thead><tr><th scope=\"col\">Parameter</th><th scope=\"col\">In</th><th scope=\"col\">Meaning</th></tr></thead><tbody>",
    );
    for parameter in parameters {
        let (name, place, meaning) = (text(&parameter["name"]), text(&parameter["in"]), text(&parameter["description"]));
        let _ = write!(body, "<tr><td><code>{name}</code></td><td>{place}</td><td>{meaning}</td></tr>");
    }
    body.push_str("</tbody></table>");
}

fn answers(body: &mut String, responses: &Value) {
    body.push_str("<dl>");
    for (status, response) in responses.as_object().into_iter().flatten() {
        let _ = write!(
            body,
            "<dt><code>{}</code></dt><dd>{}</dd>",
            escape(status),
            text(&response["description"])
        );
        let contents = response["content"].as_object().into_iter().flatten();
        for example in contents.filter_map(|(_, content)| content.get("example")) {
            let _ = write!(body, "<dd><pre><code>{}</code></pre></dd>", escape(&format!("{example:#}")));
        }
    }
    body.push_str("</dl>");
}

/// An address to try: path parameters by name, required query parameters with a value that works.
fn example_address(path: &str, parameters: &Value) -> String {
    let required = parameters
        .as_array()
        .into_iter()
        .flatten()
        .filter(|parameter| parameter["in"] == "query" && parameter["required"] == true);
    let query: Vec<String> = required
        .map(|parameter| format!("{}=board", parameter["name"].as_str().unwrap_or_default()))
        .collect();
    let path = path.replace("{id}", "call_4fbd12");
    if query.is_empty() {
        path
    } else {
        format!("{path}?{}", query.join("&"))
    }
}

fn errors_page() -> String {
    let mut body = String::from(
        "<h1>Problems</h1><p>A refused request gets <code>application/problem+json</code> (RFC 9457). Programs test \
         <code>code</code>; people quote <code>request_id</code>.</p><table><thead><tr><th scope=\"col\">code</th>\
         <th scope=\"col\">status</th><th scope=\"col\">meaning</th></tr></thead><tbody>",
    );
    for kind in ALL_KINDS {
        let (code, status, title) = (kind.code(), kind.status().as_u16(), kind.title());
        let _ = write!(
            body,
            "<tr id=\"{code}\"><td><code>{code}</code></td><td>{status}</td><td>{title}</td></tr>"
        );
    }
    body.push_str("</tbody></table>");
    frame("Problems", &body)
}

fn text(value: &Value) -> String {
    escape(value.as_str().unwrap_or_default())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}
