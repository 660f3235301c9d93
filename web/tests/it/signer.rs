//! Signs with Retell's official Python SDK, as Retell itself would.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::json;

use crate::process::{Product, root};

/// The SDK in a process of its own; it ends when this is dropped.
pub struct Signer {
    child: Child,
    asks: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Signer {
    /// Starts the SDK.
    pub fn start() -> Signer {
        let python = std::env::var_os("TRUNKLINE_TEST_PYTHON")
            .expect("TRUNKLINE_TEST_PYTHON is not set: name a Python that has retell-sdk 6.2.13, as deploy/test installs it");
        let mut child = Command::new(python)
            .arg(root().join("web/tests/it/sign.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Signer {
            asks: child.stdin.take(),
            answers: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    /// The header for `body`.
    pub fn sign(&mut self, body: &str, key: &str) -> String {
        let asks = self.asks.as_mut().unwrap();
        writeln!(asks, "{}", json!({"body": body, "key": key})).unwrap();
        let mut header = String::new();
        self.answers.read_line(&mut header).unwrap();
        assert!(header.starts_with("v="), "the SDK made no signature: {header:?}");
        header.trim_end().to_owned()
    }

    /// Sends `body` to the product as Retell would.
    pub async fn post(&mut self, product: &Product<'_>, body: &str) -> reqwest::Response {
        let header = self.sign(body, &product.signing_key);
        let request = product
            .http
            .post(&product.intake)
            .header("content-type", "application/json")
            .header("x-retell-signature", header);
        request.body(body.to_owned()).send().await.unwrap()
    }
}

impl Drop for Signer {
    fn drop(&mut self) {
        self.asks.take();
        let _ = self.child.wait();
    }
}
