//! Pages rendered from made-up data: every text there, every state drawn. With `TRUNKLINE_PREVIEW` set to a directory
//! the pages are written there, to be looked at.

mod contrast;
mod fixture;
mod fixture_auditor;
mod fixture_call;
mod fixture_log;
mod fixture_reconciler;
mod render;
mod sheets;
mod texts;
mod vendored;
