//! What stands round every page: bar, scope, completeness, reader, language, theme.

use actix_web::HttpRequest;
use actix_web::http::{Method, header};
use jiff::tz::TimeZone;
use trunkline_core::access::{Access, Permission};

use crate::l10n::{self, Texts};
use crate::pages::{assets, format, settings};
use crate::state::BUILD;

/// Texts that scripts show; they are sent with every page as patterns.
pub const SCRIPT_TEXTS: &[&str] = &[
    "fresh-complete",
    "fresh-more",
    "fresh-audit",
    "fresh-open",
    "fresh-healed",
    "fresh-delayed",
    "fresh-lost",
    "fresh-paused",
    "fresh-rebuilding",
    "banner-lost",
    "said-lost",
    "said-back",
    "why-rights",
    "why-out",
    "said-state",
    "state-ok",
    "state-watch",
    "state-breach",
    "state-none",
    "state-plain",
    "provisional",
    "call-registered",
    "call-ongoing",
    "call-ended",
    "call-transfer",
    "way-inbound",
    "way-outbound",
    "way-web",
    "way-chat",
    "way-other",
    "who-agent",
    "who-user",
    "who-transfer_target",
    "who-injected",
    "who-tool_call",
    "who-tool_result",
    "who-node",
    "who-dtmf",
    "who-sms",
    "who-other",
    "flag-silence",
    "flag-tool",
    "flag-ringing",
    "theme-system",
    "theme-light",
    "theme-dark",
    "key-wall",
    "key-live",
    "key-calls",
    "key-operator",
    "key-settings",
    "key-search",
    "key-next",
    "key-theme",
    "key-help",
    "keys-single",
    "keys-single-off",
    "copied",
    "news",
    "news-many",
    "pause",
    "resume",
    "limit",
    "pace",
    "blocked",
    "spend-note",
    "now-word",
    "transfers-today",
    "target",
    "n-equals",
    "ended-today",
    "no-agent",
    "n-live",
    "alerts-open",
    "alert-off",
    "alert-near",
    "alert-figure",
    "alert-call",
    "alert-more",
    "signal-tool",
    "signal-silence",
    "signal-ringing",
    "spend-flight",
    "capacity-used",
    "capacity-lines",
    "capacity-peak-at",
    "capacity-blocked-of",
    "today",
    "chart-time",
    "chart-offered",
    "per-interval",
    "count-of",
    "rows-waiting",
    "follow-on",
    "follow-off",
    "new-turns",
    "about",
    "stage-e2e",
    "latency-words",
    "events-count",
    "event-run",
    "event-repeats",
    "event-revision",
    "event-unknown",
    "tool-failed",
    "tool-step",
    "tool-key",
    "tool-sms",
    "silence",
    "talk-turns",
];

/// One entry of the main navigation.
pub struct NavItem {
    /// Address.
    pub href: &'static str,
    /// Symbol in the sprite; shown on phones.
    pub icon: &'static str,
    /// Word.
    pub label: String,
    /// The page we are on.
    pub current: bool,
}

/// Which entry of the navigation a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Wallboard.
    Wall,
    /// Calls in progress.
    Live,
    /// Call log and call pages.
    Calls,
    /// Usage page.
    Usage,
    /// Operator page.
    Operator,
    /// What an organisation sets up.
    Settings,
    /// All organisations, for those who run the platform.
    Platform,
    /// None of them.
    Nowhere,
}

/// Who reads the page.
#[derive(Debug, Clone, Default)]
pub struct Reader {
    /// Name.
    pub name: String,
    /// Up to two letters.
    pub initials: String,
    /// Role in words.
    pub role: String,
    /// What they may do: for showing where to go.
    pub access: Access,
    /// They run the platform.
    pub platform: bool,
}

/// A business the reader may choose.
#[derive(Debug, Clone)]
pub struct Scope {
    /// Public id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Chosen now.
    pub selected: bool,
}

/// The completeness line, as the server knows it when the page is made.
#[derive(Debug, Clone, Default)]
pub struct Fresh {
    /// `ok`, `delayed`, `wait`.
    pub state: &'static str,
    /// "Complete to 14:03:05".
    pub complete: String,
    /// Something is missing.
    pub gaps: bool,
    /// "· 2 calls without an end · 0 gaps · lag 0.3 s · 3 healed".
    pub more: String,
}

/// The frame of a page.
pub struct Shell {
    /// Texts.
    pub l: &'static Texts,
    /// Page title.
    pub title: String,
    /// Which part of the product.
    pub place: Place,
    /// Prefix of static files.
    pub assets: &'static str,
    /// Who reads.
    pub user: Reader,
    /// What they have open, if they run the platform: said on every page, with the way to close it. Empty: nothing.
    pub opened: String,
    /// Businesses to choose from; one or none hides the choice.
    pub businesses: Vec<Scope>,
    /// Where the choice of business leads.
    pub scope_action: String,
    /// What the choice keeps of the address.
    pub scope_keep: Vec<(String, String)>,
    /// Completeness.
    pub fresh: Fresh,
    /// Address of the page itself, to come back to it.
    pub here: String,
    /// A television: no controls.
    pub tv: bool,
    /// Guards forms against other sites; empty where the session's cookie rules suffice.
    pub form_token: String,
    /// Zone of shown times.
    pub zone: TimeZone,
    /// Its name.
    pub zone_name: String,
    /// Version of the build.
    pub version: &'static str,
    saved_theme: Option<&'static str>,
}

impl Shell {
    /// A frame in the language and theme that the request asks for.
    pub fn new(request: &HttpRequest, place: Place, title_key: &str) -> Shell {
        let l = texts_of(request);
        let theme = match request.cookie("theme").as_ref().map(|cookie| cookie.value()) {
            Some("dark") => Some("dark"),
            Some("light") => Some("light"),
            _ => None,
        };
        let mut shell = Shell::plain(l, place, l.t(title_key), theme);
        if request.method() == Method::GET {
            request
                .uri()
                .path_and_query()
                .map_or("/", |here| here.as_str())
                .clone_into(&mut shell.here);
        }
        shell
    }

    /// A frame without a request behind it.
    pub fn plain(l: &'static Texts, place: Place, title: String, saved_theme: Option<&'static str>) -> Shell {
        Shell {
            l,
            title,
            place,
            assets: assets::prefix(),
            user: Reader::default(),
            opened: String::new(),
            businesses: Vec::new(),
            scope_action: "/wall".to_owned(),
            scope_keep: Vec::new(),
            fresh: Fresh {
                state: "wait",
                complete: format::DASH.to_owned(),
                gaps: false,
                more: String::new(),
            },
            here: "/wall".to_owned(),
            tv: false,
            form_token: String::new(),
            zone: TimeZone::UTC,
            zone_name: "UTC".to_owned(),
            version: BUILD.version,
            saved_theme,
        }
    }

    /// The theme to force; a television is dark unless it was told otherwise.
    pub fn theme(&self) -> Option<&'static str> {
        self.saved_theme.or(self.tv.then_some("dark"))
    }

    /// The main navigation.
    pub fn nav(&self) -> Vec<NavItem> {
        let entry = |href, icon, key: &str, place| NavItem {
            href,
            icon,
            label: self.l.t(key),
            current: self.place == place,
        };
        let all = [
            (Permission::Live, entry("/wall", "wall", "nav-wall", Place::Wall)),
            (Permission::Live, entry("/live", "live", "nav-live", Place::Live)),
            (Permission::Calls, entry("/calls", "log", "nav-calls", Place::Calls)),
            (Permission::Usage, entry("/usage", "usage", "nav-usage", Place::Usage)),
            (Permission::Operate, entry("/operator", "operator", "nav-operator", Place::Operator)),
        ];
        let open = |permission| self.user.access.may_somewhere(permission);
        let mut items: Vec<NavItem> = all
            .into_iter()
            .filter(|(permission, _)| open(*permission))
            .map(|(_, item)| item)
            .collect();
        if settings::is_open(&self.user.access) {
            items.push(entry("/settings", "settings", "nav-settings", Place::Settings));
        }
        if self.user.platform {
            items.push(entry("/platform", "key", "nav-platform", Place::Platform));
        }
        items
    }

    /// Languages to choose from, each with the address that chooses it and comes back.
    pub fn languages(&self) -> Vec<(&'static Texts, String)> {
        let here = format::path_segment(&self.here);
        l10n::offered()
            .map(|texts| (texts, format!("/language?set={}&next={here}", texts.lang)))
            .collect()
    }

    /// Texts for scripts, as JSON that is safe inside a script element.
    pub fn script_texts(&self) -> String {
        let of_one = SCRIPT_TEXTS.iter().map(|key| l10n::of_one(key)).filter(|key| self.l.has(key));
        let texts: serde_json::Map<String, serde_json::Value> = SCRIPT_TEXTS
            .iter()
            .map(|key| (*key).to_owned())
            .chain(of_one)
            .map(|key| {
                let pattern = self.l.pattern(&key).into();
                (key, pattern)
            })
            .collect();
        json(&texts)
    }
}

/// The texts that a request asks for: its `lang` cookie, else its browser.
pub fn texts_of(request: &HttpRequest) -> &'static Texts {
    let saved = request.cookie("lang");
    let asked = request.headers().get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    l10n::negotiate(saved.as_ref().map(|cookie| cookie.value()), asked)
}

/// JSON for a data script: nothing in it can end the element.
pub fn json(value: &impl serde::Serialize) -> String {
    let text = serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned());
    text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}
