//! Questions of the client that the safe wrapper does not know.

use std::ptr;
use std::time::Duration;

use rdkafka::bindings as native;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::topic::away;
use crate::log::LogError;

/// Asks and waits for the answer, at most so long; `None` when there is none. `send` sends the question with what it is given, `read` reads the
/// answer, an event without an error of its own.
///
/// # Safety
/// `client` lives, `operation` is that of the question, and `read` keeps nothing of the event.
pub(super) unsafe fn answer<T>(
    client: *mut native::rd_kafka_t,
    operation: native::rd_kafka_admin_op_t,
    wait: Duration,
    send: impl FnOnce(*const native::rd_kafka_AdminOptions_t, *mut native::rd_kafka_queue_t),
    read: impl FnOnce(*mut native::rd_kafka_event_t) -> Option<Result<T, LogError>>,
) -> Option<Result<T, LogError>> {
    let wait_ms = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: what is made here is freed here, after the last look at the answer, which belongs to the event.
    unsafe {
        let queue = native::rd_kafka_queue_new(client);
        let options = native::rd_kafka_AdminOptions_new(client, operation);
        native::rd_kafka_AdminOptions_set_request_timeout(options, wait_ms, ptr::null_mut(), 0);
        send(options, queue);
        let event = native::rd_kafka_queue_poll(queue, wait_ms);
        let answer = match event.is_null() {
            true => None,
            false => refused(native::rd_kafka_event_error(event)).or_else(|| read(event)),
        };
        if !event.is_null() {
            native::rd_kafka_event_destroy(event);
        }
        native::rd_kafka_AdminOptions_destroy(options);
        native::rd_kafka_queue_destroy(queue);
        answer
    }
}

/// What a code means, if it is one of an error.
pub(super) fn refused<T>(code: native::rd_kafka_resp_err_t) -> Option<Result<T, LogError>> {
    let is_none = code == native::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
    (!is_none).then(|| Err(away(&KafkaError::AdminOp(RDKafkaErrorCode::from(code)))))
}
