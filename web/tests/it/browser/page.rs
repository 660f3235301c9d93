//! A real browser on a real page: Chromium by its driver, signed in, with waits instead of sleeps.

use std::future::Future;
use std::io::{BufRead, BufReader};
use std::panic::AssertUnwindSafe;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use trunkline_core::audit;

use futures::FutureExt as _;
use secrecy::SecretString;
use serde_json::{Value, json};
use thirtyfour::prelude::*;
use tokio::sync::Semaphore;
use trunkline_core::access::Role;
use trunkline_stores::postgres::row::NewUser;
use trunkline_web::identity::password::Passwords;

use crate::app::{App, Line, PATIENCE, client, fresh};

/// What the made-up people sign in with.
pub const PASSWORD: &str = "a password for tests";

/// Browsers at once: each is several processes, and the machine also runs the product.
static BROWSERS: Semaphore = Semaphore::const_new(2);

/// Tries to start a driver. Two of some hundred ended before they served, likely because it takes a free port of IPv4, wants the same of IPv6, and ends
/// when somebody has that one.
const STARTS: usize = 5;

/// A tab of a browser.
pub struct Page {
    pub driver: WebDriver,
    base: String,
    /// Address of the session at the driver, for what WebDriver itself does not offer.
    session: String,
}

/// The driver's process; its end closes its browsers.
struct Driver {
    process: Child,
    port: u16,
}

impl Driver {
    fn start() -> Driver {
        let started = (0..STARTS).find_map(|_| Driver::try_start());
        started.expect("the driver says its port")
    }

    /// `None` when it ended before it served.
    fn try_start() -> Option<Driver> {
        let mut process = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed: apt-get install chromium-driver");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut said = lines.by_ref().map_while(Result::ok);
        let port = said.find_map(|line| line.split("successfully on port ").nth(1)?.trim_end_matches('.').parse().ok());
        let Some(port) = port else {
            let _ = process.wait();
            return None;
        };
        std::thread::spawn(move || lines.for_each(drop));
        Some(Driver { process, port })
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs `steps` in a browser of its own, and closes it however they end.
pub async fn browse<F, Fut>(app: &App, steps: F)
where
    F: FnOnce(Page) -> Fut,
    Fut: Future<Output = ()>,
{
    let _place = BROWSERS.acquire().await.unwrap();
    let driver = Driver::start();
    let mut capabilities = DesiredCapabilities::chrome();
    for arg in [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--force-device-scale-factor=1",
    ] {
        capabilities.add_arg(arg).unwrap();
    }
    capabilities.as_mut().set("goog:loggingPrefs", json!({ "browser": "ALL" })).unwrap();
    let address = format!("http://127.0.0.1:{}", driver.port);
    let web = WebDriver::new(&address, capabilities).await.unwrap();
    let session = format!("{address}/session/{}", web.session_id());
    let page = Page {
        driver: web.clone(),
        base: format!("http://{}", app.site),
        session,
    };
    let ended = AssertUnwindSafe(steps(page)).catch_unwind().await;
    let _ = web.quit().await;
    drop(driver);
    if let Err(panic) = ended {
        std::panic::resume_unwind(panic);
    }
}

/// A person of the line's organisation who may sign in.
pub async fn person(line: &Line, role: Role) -> String {
    let email = format!("{}@example.org", fresh("person"));
    let hash = Passwords::new(1)
        .unwrap()
        .hash(&SecretString::from(PASSWORD.to_owned()))
        .await
        .unwrap();
    let new = NewUser {
        email: email.clone(),
        name: "Maren Kessler".to_owned(),
        role: Some(role),
        grants: Vec::new(),
        password_hash: hash,
    };
    line.config.create_user(line.tenant, &audit::By::system(), &new).await.unwrap();
    email
}

impl Page {
    /// Opens an address of ours.
    pub async fn go(&self, path: &str) {
        self.driver.goto(format!("{}{path}", self.base)).await.unwrap();
    }

    /// Signs in on the page that is open.
    pub async fn fill_sign_in(&self, email: &str, password: &str) {
        let field = |id: &'static str| self.driver.find(By::Id(id));
        let mail = field("email").await.unwrap();
        mail.clear().await.unwrap();
        mail.send_keys(email).await.unwrap();
        field("password").await.unwrap().send_keys(password).await.unwrap();
        self.driver
            .find(By::Css("form button[type=submit]"))
            .await
            .unwrap()
            .click()
            .await
            .unwrap();
    }

    /// Signs in and opens `path`.
    pub async fn enter(&self, email: &str, path: &str) {
        self.go(path).await;
        self.fill_sign_in(email, PASSWORD).await;
        self.until("the page asked for", || async { self.path().await == path }).await;
    }

    /// Path and query of the page that is open.
    pub async fn path(&self) -> String {
        let url = self.driver.current_url().await.unwrap();
        url.query()
            .map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
    }

    /// The result of a script.
    pub async fn eval(&self, script: &str) -> Value {
        self.driver.execute(script, vec![]).await.unwrap().json().clone()
    }

    /// The result of a script that calls back (its last argument).
    pub async fn eval_later(&self, script: &str) -> Value {
        self.driver.execute_async(script, vec![]).await.unwrap().json().clone()
    }

    /// Text of the first match; empty when there is none or it is hidden.
    pub async fn text(&self, selector: &str) -> String {
        let script = format!("const e = document.querySelector({selector:?}); return e && e.checkVisibility() ? e.innerText.trim() : '';");
        self.eval(&script).await.as_str().unwrap_or_default().to_owned()
    }

    /// Number of matches.
    pub async fn count(&self, selector: &str) -> u64 {
        self.eval(&format!("return document.querySelectorAll({selector:?}).length"))
            .await
            .as_u64()
            .unwrap()
    }

    /// Waits for a text.
    pub async fn until_text(&self, selector: &str, wanted: &str) {
        let begun = Instant::now();
        loop {
            let found = self.text(selector).await;
            if found == wanted {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{selector} says {found:?}, not {wanted:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits for a condition.
    pub async fn until<F, Fut>(&self, what: &str, holds: F)
    where
        F: Fn() -> Fut,
        Fut: Future<Output = bool>,
    {
        self.until_within(PATIENCE, what, holds).await;
    }

    /// Waits for a condition, so long.
    pub async fn until_within<F, Fut>(&self, patience: Duration, what: &str, holds: F)
    where
        F: Fn() -> Fut,
        Fut: Future<Output = bool>,
    {
        let begun = Instant::now();
        while !holds().await {
            assert!(begun.elapsed() < patience, "waited in vain for {what} on {}", self.path().await);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Presses keys on the page itself.
    pub async fn press(&self, keys: &str) {
        for key in keys.chars() {
            let chain = self.driver.action_chain().send_keys(key.to_string());
            chain.perform().await.unwrap();
        }
    }

    /// A window of this size; narrow ones are phones.
    pub async fn resize(&self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.tell(
            "goog/cdp/execute",
            json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": size }),
        )
        .await;
    }

    /// Stops the page as a browser stops one that nobody looks at (`frozen`), or lets it go on (`active`).
    pub async fn lifecycle(&self, state: &str) {
        let body = json!({ "cmd": "Page.setWebLifecycleState", "params": { "state": state } });
        self.tell("goog/cdp/execute", body).await;
    }

    /// Runs a script that the page's own policy would refuse: by the debugger.
    pub async fn inject(&self, source: &str) {
        self.tell(
            "goog/cdp/execute",
            json!({ "cmd": "Runtime.evaluate", "params": { "expression": source } }),
        )
        .await;
    }

    /// Fails if a script failed or the content policy refused anything since the last time.
    pub async fn no_complaints(&self, what: &str) {
        let log = self.tell("se/log", json!({ "type": "browser" })).await;
        let bad =
            |line: &&Value| line["level"] == "SEVERE" && !line["message"].as_str().unwrap_or_default().contains("Failed to load resource");
        let complaints: Vec<&Value> = log.as_array().unwrap().iter().filter(bad).collect();
        assert!(complaints.is_empty(), "{what}: {complaints:#?}");
    }

    /// A command of the driver that WebDriver itself does not have.
    pub async fn tell(&self, command: &str, body: Value) -> Value {
        let answer = client()
            .post(format!("{}/{command}", self.session))
            .json(&body)
            .send()
            .await
            .unwrap();
        let answer: Value = answer.json().await.unwrap();
        assert!(answer["value"]["error"].is_null(), "{command}: {answer:#}");
        answer["value"].clone()
    }

    /// The language of the next pages.
    pub async fn language(&self, language: &str) {
        self.eval(&format!("document.cookie = 'lang={language}; path=/; samesite=lax'"))
            .await;
    }

    /// The theme of the next pages.
    pub async fn theme(&self, theme: &str) {
        self.eval(&format!("document.cookie = 'theme={theme}; path=/; samesite=lax'")).await;
    }
}
