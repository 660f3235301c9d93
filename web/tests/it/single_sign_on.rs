//! Signing in with the provider of one's company, at a real provider (npm's oidc-provider): who comes in, and who does not.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use reqwest::{Response, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use trunkline_core::access::Role;
use trunkline_core::audit::By;
use trunkline_core::id::TenantId;
use trunkline_stores::keyring::Place;
use trunkline_stores::postgres::row::{NewUser, PersonState};
use uuid::Uuid;

use crate::app::{Line, app, browser, client, fresh, program};
use crate::dns;
use crate::identity::{PASSWORD, cookie, enter, person};

pub const CLIENT: &str = "trunkline";
pub const SECRET: &str = "a secret of forty characters + & % / = .";

/// The provider that all tests without a browser share. The product serves on port 0, so that is what it calls itself.
fn issuer() -> &'static str {
    static ISSUER: OnceLock<String> = OnceLock::new();
    ISSUER.get_or_init(|| provider("http://127.0.0.1:0"))
}

/// Starts a provider that knows the product by this address; gives its own.
pub fn provider(product: &str) -> String {
    let installed =
        std::env::var("TRUNKLINE_TEST_OIDC").expect("TRUNKLINE_TEST_OIDC names a folder with oidc-provider; deploy/test sets it");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/oidc/provider.mjs");
    let back = format!("{product}/signin/company/return");
    let mut child = Command::new("node")
        .args([script, &back, CLIENT, SECRET])
        .env("TRUNKLINE_TEST_OIDC", installed)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("node is installed; deploy/test does it");
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("http://127.0.0.1:"), "the provider did not start: {line}");
    // It ends with this process; its end is waited for, or it would stay a zombie.
    std::thread::spawn(move || child.wait());
    line.trim().to_owned()
}

/// An organisation with the provider, and the domain that is its own.
struct Company {
    line: Line,
    domain: String,
}

impl Company {
    async fn new(first_role: Option<&str>, required: bool) -> Company {
        let company = Company {
            line: app().line().await,
            domain: format!("{}.example", fresh("company")),
        };
        let (status, answer) = company.set(&company.draft(first_role, required)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        company.prove(&answer).await;
        company
    }

    /// Makes the record of every domain that waits, and has it looked at.
    async fn prove(&self, form: &Value) {
        for proof in form["domain_proofs"].as_array().unwrap() {
            if proof["state"] == "waiting" {
                dns::says(proof["record_name"].as_str().unwrap(), proof["record_value"].as_str().unwrap());
            }
        }
        let checked = self.check().await;
        let all = checked["domain_proofs"].as_array().unwrap();
        assert!(!all.is_empty() && all.iter().all(|proof| proof["state"] == "proved"), "{checked:#}");
    }

    /// Has its domains looked at; what the provider's form says then.
    async fn check(&self) -> Value {
        let key = self.line.api_key(&["organisation:write", "live:read"]).await;
        let answer = client()
            .post(app().url("/v1/single-sign-on/check"))
            .bearer_auth(key)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        answer.json().await.unwrap()
    }

    fn draft(&self, first_role: Option<&str>, required: bool) -> Value {
        json!({
            "issuer": issuer(), "client_id": CLIENT, "client_secret": SECRET, "domains": [self.domain], "required": required,
            "first_role": first_role,
        })
    }

    async fn set(&self, draft: &Value) -> (StatusCode, Value) {
        // Newcomers get nothing that who sets it lacks.
        let key = self
            .line
            .api_key(&["organisation:write", "live:read", "calls:read", "usage:read"])
            .await;
        let request = client().put(app().url("/v1/single-sign-on")).bearer_auth(key).json(draft);
        let answer = request.send().await.unwrap();
        let status = answer.status();
        (status, answer.json().await.unwrap_or_default())
    }

    fn address(&self, name: &str) -> String {
        format!("{name}@{}", self.domain)
    }

    /// Begins; gives the cookie of the browser and the address at the provider.
    async fn begin(&self) -> (String, String) {
        begin(self.line.tenant).await
    }

    /// All the way, as somebody; the last answer.
    async fn enter(&self, person: &Value) -> Response {
        let (cookie, address) = self.begin().await;
        come_back(&sign_in_there(&address, person).await, &cookie).await
    }

    async fn refusals(&self) -> Vec<String> {
        let key = self.line.api_key(&["audit:read"]).await;
        let (_, found) = self.line.get(&key, "/v1/audit?action=single_sign_on.refuse").await;
        let why = |entry: &Value| entry["after"]["why"].as_str().unwrap_or_default().to_owned();
        found["data"].as_array().unwrap().iter().map(why).collect()
    }
}

async fn begin(tenant: TenantId) -> (String, String) {
    let url = app().url(&format!("/signin/company/{tenant}?next=/calls"));
    let answer = browser().get(url).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let address = answer.headers()["location"].to_str().unwrap().to_owned();
    assert!(address.starts_with(issuer()), "{address}");
    (cookie(&answer).unwrap(), address)
}

/// Signs in at the provider as somebody; gives path and query of where it sends the browser back to.
async fn sign_in_there(address: &str, person: &Value) -> String {
    let (mut address, mut cookies) = (address.to_owned(), BTreeMap::new());
    for _ in 0..5 {
        let held: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = browser().get(&address).header("cookie", held.join("; "));
        let answer = request.header("x-sign-in-as", person.to_string()).send().await.unwrap();
        for set in answer.headers().get_all("set-cookie") {
            let (name, value) = set.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            cookies.insert(name.to_owned(), value.to_owned());
        }
        let status = answer.status();
        let next = answer.headers().get("location").map(|next| next.to_str().unwrap().to_owned());
        let next = next.unwrap_or_else(|| panic!("{status} at {address}"));
        if let Some(back) = next.strip_prefix("http://127.0.0.1:0") {
            return back.to_owned();
        }
        address = if next.starts_with('/') {
            format!("{}{next}", issuer())
        } else {
            next
        };
    }
    panic!("the provider leads nowhere: {address}");
}

async fn come_back(path: &str, cookie: &str) -> Response {
    browser().get(app().url(path)).header("cookie", cookie).send().await.unwrap()
}

/// The session that an answer sets, if it lets somebody in.
fn session(answer: &Response) -> Option<String> {
    let all = answer
        .headers()
        .get_all("set-cookie")
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut found = all
        .filter_map(|value| value.split(';').next())
        .filter(|pair| pair.starts_with("trunkline_session="));
    found.next().map(str::to_owned)
}

async fn me(session: &str) -> Value {
    let answer = client().get(app().url("/v1/me")).header("cookie", session).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    answer.json().await.unwrap()
}

fn somebody(subject: &str, email: &str) -> Value {
    json!({ "sub": subject, "email": email, "email_verified": true, "name": "Ana of the Company" })
}

/// How far a domain is proved.
fn proof<'a>(form: &'a Value, domain: &str) -> &'a Value {
    let mut all = form["domain_proofs"].as_array().unwrap().iter();
    all.find(|proof| proof["domain"] == domain).unwrap()
}

fn out(answer: &Response) {
    assert!(session(answer).is_none(), "nobody came in");
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn whoever_the_provider_knows_comes_in_and_stays_the_same_person() {
    let company = Company::new(Some("analyst"), false).await;
    let (subject, email) = (fresh("subject"), company.address("ana"));
    let answer = company.enter(&somebody(&subject, &email)).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert_eq!(answer.headers()["location"], "/calls", "where they wanted to go");
    let first = me(&session(&answer).unwrap()).await;
    assert_eq!(first["organisation_id"], company.line.tenant.to_string());
    assert_eq!(
        (&first["email"], &first["role"], &first["name"]),
        (&json!(email), &json!("analyst"), &json!("Ana of the Company"))
    );
    // By the provider's name for them, also under another address.
    let renamed = company.address("ana.married");
    let answer = company.enter(&somebody(&subject, &renamed)).await;
    assert_eq!(me(&session(&answer).unwrap()).await["id"], first["id"]);
    // Their random hash fits no password.
    assert_eq!(enter(&email, PASSWORD, &[]).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let auditor = company.line.api_key(&["audit:read"]).await;
    let (_, found) = company.line.get(&auditor, "/v1/audit?limit=100").await;
    let mut actions: Vec<&str> = found["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    actions.sort_unstable();
    for action in ["person.create", "person.link", "session.begin", "single_sign_on.set"] {
        assert!(actions.contains(&action), "{action}: {actions:?}");
    }
    assert!(company.line.config.verify_deeds(company.line.tenant).await.unwrap().is_ok());
    // Found by the address that people type, which says where to, and goes there by itself.
    let form = format!("email=boss%40{}&next=/live", company.domain);
    let request = browser()
        .post(app().url("/signin/company"))
        .header("content-type", "application/x-www-form-urlencoded");
    let page = request.body(form).send().await.unwrap().text().await.unwrap();
    assert!(
        page.contains(&format!("url=/signin/company/{}?next=", company.line.tenant)),
        "{page}"
    );
}

#[tokio::test]
async fn somebody_who_is_there_keeps_their_role_and_an_invitation_is_accepted() {
    let company = Company::new(None, false).await;
    let email = company.address("eva");
    let there = NewUser {
        email: company.address("there"),
        name: "Ana".to_owned(),
        role: Some(Role::Supervisor),
        grants: Vec::new(),
        password_hash: SecretString::from("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g"),
    };
    company
        .line
        .config
        .create_user(company.line.tenant, &By::system(), &there)
        .await
        .unwrap();
    let answer = company.enter(&somebody(&fresh("subject"), &there.email)).await;
    assert_eq!(me(&session(&answer).unwrap()).await["role"], "supervisor");
    let stranger = somebody(&fresh("subject"), &email);
    out(&company.enter(&stranger).await);
    assert_eq!(company.refusals().await, ["company-uninvited"]);
    let inviter = company.line.api_key(&["people:write", "live:read"]).await;
    let draft = json!({ "email": email, "name": "Eva", "role": "viewer" });
    let invite = client().post(app().url("/v1/invitations")).bearer_auth(inviter).json(&draft);
    assert_eq!(invite.send().await.unwrap().status(), StatusCode::CREATED);
    let answer = company.enter(&stranger).await;
    assert_eq!(me(&session(&answer).unwrap()).await["role"], "viewer");
}

fn with(value: &Value, name: &str, other: Value) -> Value {
    let mut changed = value.clone();
    changed[name] = other;
    changed
}

#[tokio::test]
async fn s120_what_was_not_begun_here_or_comes_twice_lets_nobody_in() {
    let company = Company::new(Some("viewer"), false).await;
    let ana = somebody(&fresh("subject"), &company.address("ana"));
    let (held, address) = company.begin().await;
    let back = sign_in_there(&address, &ana).await;
    let (other, _) = company.begin().await;
    let changed = |from: &str, to: &str| back.replace(from, to);
    for (what, path, cookie) in [
        ("no cookie", back.clone(), ""),
        ("the cookie of another sign-in", back.clone(), other.as_str()),
        ("another state", changed("state=", "state=x"), held.as_str()),
        ("no state", changed("state=", "was="), held.as_str()),
        ("another issuer", changed("iss=http", "iss=https"), held.as_str()),
        ("no code", changed("code=", "was="), held.as_str()),
        ("an error", changed("code=", "error=access_denied&was="), held.as_str()),
        ("a cookie that was changed", back.clone(), &held[..held.len() - 2]),
    ] {
        let answer = come_back(&path, cookie).await;
        assert_eq!((answer.status(), session(&answer)), (StatusCode::FORBIDDEN, None), "{what}");
    }
    // Another code than the one that was given, and one for another proof (PKCE).
    out(&come_back(&changed("code=", "code=x"), &held).await);
    let (held, address) = company.begin().await;
    let back = sign_in_there(&address, &ana).await;
    out(&come_back(&back, &resealed(&company, &held, "verifier").await).await);
    // Of another sign-in by what the token says.
    let (held, address) = company.begin().await;
    let back = sign_in_there(&address, &ana).await;
    out(&come_back(&back, &resealed(&company, &held, "nonce").await).await);
    // The right one, once.
    let (held, address) = company.begin().await;
    let back = sign_in_there(&address, &ana).await;
    let answer = come_back(&back, &held).await;
    assert!(session(&answer).is_some());
    let gone = answer
        .headers()
        .get_all("set-cookie")
        .iter()
        .any(|set| set.to_str().unwrap().starts_with("trunkline_company=;"));
    assert!(gone, "what was begun is forgotten");
    out(&come_back(&back, &held).await);
    // Nobody is sent elsewhere afterwards.
    let url = app().url(&format!("/signin/company/{}?next=//evil.example", company.line.tenant));
    let answer = browser().get(url).send().await.unwrap();
    let back = sign_in_there(answer.headers()["location"].to_str().unwrap(), &ana).await;
    assert_eq!(come_back(&back, &cookie(&answer).unwrap()).await.headers()["location"], "/wall");
}

/// The cookie of a sign-in with one part of it replaced, as only somebody with our master key can make it.
async fn resealed(company: &Company, held: &str, part: &str) -> String {
    let (name, value) = held.split_once('=').unwrap();
    let mut parts = value.splitn(3, '.');
    let (tenant, id, sealed) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let place = Place {
        tenant: company.line.tenant,
        column: "single_sign_on.waiting",
        row: id.parse::<Uuid>().unwrap(),
    };
    let keyring = company.line.config.keyring();
    let opened = keyring.open(&place, sealed).unwrap();
    let waiting: Value = serde_json::from_str(opened.expose_secret()).unwrap();
    let changed = with(&waiting, part, json!("another that has the length of a verifier of PKCE"));
    let sealed = keyring.seal(&place, &SecretString::from(changed.to_string()));
    format!("{name}={tenant}.{id}.{sealed}")
}

#[tokio::test]
async fn people_who_are_not_ours_or_no_longer_stay_out() {
    let company = Company::new(Some("viewer"), false).await;
    let address = company.address("ana");
    let subject = fresh("subject");
    out(&company
        .enter(&with(&somebody(&subject, &address), "email_verified", json!(false)))
        .await);
    out(&company.enter(&json!({ "sub": subject })).await);
    out(&company.enter(&somebody(&subject, "ana@elsewhere.example")).await);
    assert_eq!(company.refusals().await, ["company-unverified"; 3]);

    // Of another organisation: an address belongs to one.
    let other = Company::new(Some("viewer"), false).await;
    let theirs = other.address("eva");
    assert!(session(&other.enter(&somebody(&fresh("subject"), &theirs)).await).is_some());
    let stolen = json!([company.domain, other.domain]);
    let (status, _) = company.set(&with(&company.draft(Some("viewer"), false), "domains", stolen)).await;
    assert_eq!(status, StatusCode::OK, "naming a domain proves nothing");
    assert_eq!(proof(&company.check().await, &other.domain)["found"], "other");
    out(&company.enter(&somebody(&fresh("subject"), &other.address("mia"))).await);
    assert_eq!(company.refusals().await, ["company-unverified"; 4]);

    // Disabled, both by the provider's name for them and by their address.
    let answer = company.enter(&somebody(&subject, &address)).await;
    assert!(session(&answer).is_some());
    let user = company.line.config.user_by_email(&address).await.unwrap().unwrap();
    let had = PersonState {
        role: Some(Role::Viewer),
        grants: Vec::new(),
        disabled: false,
    };
    let disabled = PersonState {
        disabled: true,
        ..had.clone()
    };
    company
        .line
        .config
        .change_person(company.line.tenant, &By::operator(), user.id, &had, &disabled)
        .await
        .unwrap();
    out(&company.enter(&somebody(&subject, &address)).await);
    out(&company.enter(&somebody(&fresh("subject"), &address)).await);
    // Somebody else who was given the address of somebody who is there.
    company
        .line
        .config
        .change_person(company.line.tenant, &By::operator(), user.id, &disabled, &had)
        .await
        .unwrap();
    out(&company.enter(&somebody(&fresh("subject"), &address)).await);
    let found = company.refusals().await;
    assert_eq!(
        found[..3],
        ["company-otherwise", "company-disabled", "company-disabled"],
        "{found:?}"
    );
}

#[tokio::test]
async fn where_it_is_required_passwords_are_for_owners() {
    let company = Company::new(Some("viewer"), true).await;
    let (owner, analyst) = (person(&company.line, Role::Owner).await, person(&company.line, Role::Analyst).await);
    assert_eq!(enter(&owner, PASSWORD, &[]).await.status(), StatusCode::SEE_OTHER);
    assert_ne!(enter(&analyst, PASSWORD, &[]).await.status(), StatusCode::SEE_OTHER);
    let body = |email: &str| json!({ "grant_type": "password", "email": email, "password": PASSWORD });
    let asked = client().post(app().url("/v1/tokens")).json(&body(&analyst)).send().await.unwrap();
    assert_eq!(asked.status(), StatusCode::FORBIDDEN);
    assert_eq!(asked.json::<Value>().await.unwrap()["code"], "company_sign_in_required");
    let asked = client().post(app().url("/v1/tokens")).json(&body(&owner)).send().await.unwrap();
    assert_eq!(asked.status(), StatusCode::CREATED);
    // A wrong password says nothing of it.
    assert_eq!(
        enter(&analyst, "something else altogether", &[]).await.status(),
        StatusCode::UNPROCESSABLE_ENTITY
    );
}

#[tokio::test]
async fn where_it_is_required_an_invitation_is_not_accepted_with_a_password() {
    let company = Company::new(None, true).await;
    let owner = crate::people::Somebody::with(&company.line, Role::Owner).await;
    for (role, expected) in [("viewer", StatusCode::FORBIDDEN), ("owner", StatusCode::SEE_OTHER)] {
        let email = company.address(role);
        let draft = json!({ "email": email, "name": "Eva", "role": role });
        let (status, _, made) = owner.ask(reqwest::Method::POST, "/v1/invitations", None, Some(draft)).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        let code = crate::mailbox::code(&crate::mailbox::mail(&email, 1).await.link());
        let form: String = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("code", code.as_str()), ("email", &email), ("name", "Eva"), ("password", PASSWORD)])
            .finish();
        let request = browser().post(app().url("/invitation"));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(form).send().await.unwrap();
        assert_eq!(answer.status(), expected, "{role}");
        assert_eq!(
            cookie(&answer).is_some(),
            role == "owner",
            "as at sign-in, a password lets owners in and nobody else"
        );
        // The invitation of who was refused stays open for the provider's way.
        let there = company.line.config.user_by_email(&email).await.unwrap();
        assert_eq!(there.is_some(), role == "owner");
    }
}

#[tokio::test]
async fn a_provider_is_set_only_when_it_answers_and_its_secret_is_never_shown() {
    let company = Company::new(None, false).await;
    let good = company.draft(None, false);
    for (name, value, code) in [
        ("issuer", json!("not an address"), "blocked_address"),
        ("issuer", json!("http://127.0.0.1:9"), "no_provider"),
        ("issuer", json!(format!("{}/", issuer())), "other_issuer"),
        ("issuer", json!("http://127.0.0.1:5432"), "blocked_address"),
        ("client_id", json!(" "), "empty"),
        ("domains", json!([]), "empty"),
        ("domains", json!(["gmail.com"]), "public_domain"),
        ("domains", json!(["nodots"]), "bad_domain"),
        ("first_role", json!("owner"), "bad_role"),
    ] {
        let (status, refused) = company.set(&with(&good, name, value.clone())).await;
        assert_eq!(
            (status, &refused["errors"][0]["code"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!(code)),
            "{name} {value}: {refused}"
        );
    }
    let key = company.line.api_key(&["organisation:write", "live:read"]).await;
    let (status, shown) = company.line.get(&key, "/v1/single-sign-on").await;
    assert_eq!((status, &shown["client_id"]), (StatusCode::OK, &json!(CLIENT)));
    assert!(!shown.to_string().contains("forty characters"));
    // Kept when it is not sent.
    assert_eq!(company.set(&with(&good, "client_secret", Value::Null)).await.0, StatusCode::OK);
    let owner = person(&company.line, Role::Owner).await;
    let session = cookie(&enter(&owner, PASSWORD, &[]).await).unwrap();
    let page = client()
        .get(app().url("/settings/single-sign-on"))
        .header("cookie", &session)
        .send()
        .await
        .unwrap();
    let page = page.text().await.unwrap();
    assert!(
        page.contains(issuer()) && page.contains(&company.domain) && !page.contains("forty characters"),
        "{page}"
    );
    let gone = client()
        .delete(app().url("/v1/single-sign-on"))
        .bearer_auth(&key)
        .send()
        .await
        .unwrap();
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    assert_eq!(company.line.get(&key, "/v1/single-sign-on").await.0, StatusCode::NOT_FOUND);
    let answer = browser()
        .get(app().url(&format!("/signin/company/{}", company.line.tenant)))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
}

/// Where the form for an address leads; none: it does not know the domain.
async fn leads_to(domain: &str) -> Option<String> {
    let form = format!("email=boss%40{domain}&next=/live");
    let request = browser()
        .post(app().url("/signin/company"))
        .header("content-type", "application/x-www-form-urlencoded");
    let page = request.body(form).send().await.unwrap().text().await.unwrap();
    let (_, rest) = page.split_once("url=/signin/company/")?;
    rest.split('?').next().map(str::to_owned)
}

#[tokio::test]
async fn a_domain_leads_to_a_provider_when_its_dns_says_whose_it_is() {
    let company = Company {
        line: app().line().await,
        domain: format!("{}.example", fresh("proved")),
    };
    let (status, form) = company.set(&company.draft(Some("viewer"), true)).await;
    assert_eq!(status, StatusCode::OK);
    let waiting = proof(&form, &company.domain).clone();
    assert_eq!(waiting["state"], "waiting");
    assert_eq!(waiting["looked_at"], Value::Null);
    let (name, value) = (waiting["record_name"].as_str().unwrap(), waiting["record_value"].as_str().unwrap());
    assert_eq!(name, format!("_trunkline-challenge.{}", company.domain));
    assert!(value.starts_with("trunkline-domain-verification=") && value.len() > 60, "{value}");

    // Before: no address leads there, none counts, and nobody is locked out by a provider that lets nobody in.
    let ana = somebody(&fresh("subject"), &company.address("ana"));
    assert_eq!(leads_to(&company.domain).await, None);
    out(&company.enter(&ana).await);
    assert_eq!(company.refusals().await, ["company-unverified"]);
    let analyst = person(&company.line, Role::Analyst).await;
    assert_eq!(enter(&analyst, PASSWORD, &[]).await.status(), StatusCode::SEE_OTHER);

    // What a look finds, each time.
    let found = async || proof(&company.check().await, &company.domain)["found"].clone();
    assert_eq!(found().await, "nothing");
    dns::says(name, "v=spf1 -all");
    assert_eq!(found().await, "nothing", "records of others are none of ours");
    dns::says(name, &value[..value.len() - 1]);
    assert_eq!(found().await, "other");
    dns::fails(name);
    assert_eq!(found().await, "no_answer");
    dns::forgets(name);
    // At the domain itself, among others.
    dns::says(&company.domain, "v=spf1 -all");
    dns::says(&company.domain, value);
    let proved = company.check().await;
    let proved = proof(&proved, &company.domain);
    assert_eq!(
        (&proved["state"], &proved["proved_by"], &proved["found"]),
        (&json!("proved"), &json!("dns"), &json!("record"))
    );
    assert_eq!(leads_to(&company.domain).await, Some(company.line.tenant.to_string()));
    assert!(session(&company.enter(&ana).await).is_some());
    assert_ne!(
        enter(&analyst, PASSWORD, &[]).await.status(),
        StatusCode::SEE_OTHER,
        "from now on it is required"
    );

    // It stays, also when the record goes, and when the form is saved once more.
    dns::forgets(&company.domain);
    let (_, form) = company.set(&company.draft(Some("viewer"), false)).await;
    assert_eq!(proof(&form, &company.domain)["state"], "proved");
    assert_eq!(proof(&company.check().await, &company.domain)["state"], "proved");
    let auditor = company.line.api_key(&["audit:read"]).await;
    let (_, told) = company.line.get(&auditor, "/v1/audit?action=single_sign_on.prove").await;
    assert_eq!(told["data"].as_array().unwrap().len(), 1, "{told:#}");
}

#[tokio::test]
async fn two_may_wait_for_a_domain_and_one_has_it() {
    let first = Company::new(Some("viewer"), false).await;
    let second = Company {
        line: app().line().await,
        domain: first.domain.clone(),
    };
    let (status, form) = second.set(&second.draft(Some("viewer"), false)).await;
    assert_eq!(status, StatusCode::OK);
    let waiting = proof(&form, &first.domain).clone();
    assert_eq!(waiting["state"], "waiting");
    // The token of one proves nothing for another.
    assert_eq!(proof(&second.check().await, &first.domain)["found"], "other");
    dns::says(waiting["record_name"].as_str().unwrap(), waiting["record_value"].as_str().unwrap());
    assert_eq!(proof(&second.check().await, &first.domain)["found"], "taken");
    out(&second.enter(&somebody(&fresh("subject"), &first.address("ana"))).await);
    assert_eq!(leads_to(&first.domain).await, Some(first.line.tenant.to_string()));

    // Whoever runs the installation decides, with DNS or without.
    let name = async |company: &Company| company.line.config.organisation_name(company.line.tenant).await.unwrap();
    let run = |act: &str, organisation: &str| {
        let output = program(&app().data)
            .args(["domain", act, "--organisation", organisation, &first.domain])
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (one, two) = (name(&first).await, name(&second).await);
    let (done, said) = run("prove", &two);
    assert!(!done && said.contains("withdraw it there first"), "{said}");
    let (done, said) = run("withdraw", &one);
    assert!(done, "{said}");
    assert_eq!(leads_to(&first.domain).await, None);
    let (done, said) = run("prove", &two);
    assert!(done, "{said}");
    assert_eq!(leads_to(&first.domain).await, Some(second.line.tenant.to_string()));
    assert!(!run("withdraw", &one).0, "it has none any more");
    let listed = program(&app().data)
        .args(["domain", "list", "--organisation", &two])
        .output()
        .unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains(&first.domain) && listed.contains("operator"), "{listed}");
}
