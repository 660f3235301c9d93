//! Reading what Retell answers as what it is: input from outside. Nothing of it may fill memory, run for ever, or write into our log.

use serde::de::DeserializeOwned;

use super::RetellError;

/// Largest answer that is read, unpacked: a page of list-calls has 1,000 objects of a few kB, a long call with the times of its words some MB.
pub const ANSWER_BYTES: usize = 32 * 1024 * 1024;

/// Largest refusal that is read: it has a sentence.
const REFUSAL_BYTES: usize = 64 * 1024;

/// Characters of Retell's own sentence that are passed on.
const MESSAGE_CHARS: usize = 200;

/// An answer as `T`, if it is one and no larger than `most`.
async fn within<T: DeserializeOwned>(mut answer: reqwest::Response, most: usize) -> Result<T, RetellError> {
    let unreachable = |error: reqwest::Error| RetellError::Unreachable(error.without_url().to_string());
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(unreachable)? {
        if body.len() + part.len() > most {
            return Err(RetellError::Unreachable(format!("its answer has more than {most} bytes")));
        }
        body.extend_from_slice(&part);
    }
    // Where, and not what: serde repeats values.
    serde_json::from_slice(&body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        RetellError::Unreachable(format!("its answer is no JSON that can be read (line {line}, column {column})"))
    })
}

pub(super) async fn read<T: DeserializeOwned>(answer: reqwest::Response) -> Result<T, RetellError> {
    within(answer, ANSWER_BYTES).await
}

/// Retell's own sentence in a refusal: one line, and not a long one; empty when there is none.
pub(super) async fn message(answer: reqwest::Response) -> String {
    let body: serde_json::Value = within(answer, REFUSAL_BYTES).await.unwrap_or_default();
    let text = body["message"].as_str().unwrap_or_default();
    let plain = |character: char| if character.is_control() { ' ' } else { character };
    text.chars().map(plain).take(MESSAGE_CHARS).collect()
}
