//! A mail server of the tests (aiosmtpd): takes every mail over real SMTP and keeps it for whoever waits for it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::app::PATIENCE;

/// Mails to addresses that begin with this are refused for good.
pub const UNKNOWN: &str = "unknown-";

/// A mail as it came.
#[derive(Debug, Clone)]
pub struct Mail {
    to: String,
    /// Headers by their name in lower case.
    pub headers: Value,
    /// The text.
    pub text: String,
}

static MAILS: Mutex<Vec<Mail>> = Mutex::new(Vec::new());

static PORT: LazyLock<u16> = LazyLock::new(|| {
    let python =
        std::env::var_os("TRUNKLINE_TEST_PYTHON").expect("TRUNKLINE_TEST_PYTHON names a Python with aiosmtpd; deploy/test sets it");
    let mut child = Command::new(python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/mailbox.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let port = lines.next().expect("pip install aiosmtpd").unwrap().parse().unwrap();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let mail: Value = serde_json::from_str(&line).unwrap();
            let text = |name: &str| mail[name].as_str().unwrap().to_owned();
            MAILS.lock().unwrap().push(Mail {
                to: text("to"),
                text: text("text"),
                headers: mail["headers"].clone(),
            });
        }
        // Its standard input is held until here: it ends with this process.
        let _ = child.wait();
    });
    port
});

/// What the product has to be told to send its mails here.
pub fn settings() -> [(&'static str, String); 2] {
    [
        ("TRUNKLINE_MAIL__URL", format!("smtp://127.0.0.1:{}", *PORT)),
        ("TRUNKLINE_MAIL__FROM", "Trunkline <calls@trunkline.invalid>".to_owned()),
    ]
}

/// Mails that have come for an address.
pub fn mails(to: &str) -> Vec<Mail> {
    MAILS.lock().unwrap().iter().filter(|mail| mail.to == to).cloned().collect()
}

/// The `n`th mail for an address, counted from 1.
pub async fn mail(to: &str, n: usize) -> Mail {
    let begun = Instant::now();
    loop {
        if let Some(mail) = mails(to).into_iter().nth(n - 1) {
            return mail;
        }
        assert!(begun.elapsed() < PATIENCE, "no mail {n} for {to}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

impl Mail {
    /// The link in it.
    pub fn link(&self) -> String {
        let start = self.text.find("http://").unwrap_or_else(|| panic!("a link: {}", self.text));
        self.text[start..].split_whitespace().next().unwrap().to_owned()
    }
}

/// The code in a link.
pub fn code(link: &str) -> String {
    link.split("code=").nth(1).unwrap().split('&').next().unwrap().to_owned()
}
