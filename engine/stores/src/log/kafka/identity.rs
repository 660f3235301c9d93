//! Which log this is: the cluster and the id that the broker gave the topic when it was made. A topic that was deleted and made
//! again under the same name has another (KA-06).

use std::ffi::{CStr, CString};
use std::ptr;
use std::time::Duration;

use rdkafka::admin::AdminClient;
use rdkafka::bindings as native;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::topic::away;
use super::voice::Voice;
use crate::log::LogError;

/// The identity of a topic. Blocks for at most twice `wait`.
pub(super) fn of(admin: &AdminClient<Voice>, topic: &str, wait: Duration) -> Result<String, LogError> {
    let cluster = admin
        .inner()
        .fetch_cluster_id(wait)
        .ok_or_else(|| LogError::Unavailable("Kafka does not tell the id of its cluster".into()))?;
    Ok(format!("kafka:{cluster}:{}", topic_id(admin, topic, wait)?))
}

/// The topic's id. The safe wrapper does not know this question of the client, so it is asked directly.
fn topic_id(admin: &AdminClient<Voice>, topic: &str, wait: Duration) -> Result<String, LogError> {
    let name = CString::new(topic).map_err(|_| LogError::Misconfigured("kafka.topic holds a zero byte".into()))?;
    let wait_ms = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
    let client = admin.inner().native_ptr();
    let silent = || LogError::Unavailable(format!("Kafka does not tell the id of the topic {topic}"));
    // SAFETY: `client` lives as long as `admin`. Everything made here is freed below, after the last look at the answer, which
    // belongs to the event; the texts are copied before.
    unsafe {
        let queue = native::rd_kafka_queue_new(client);
        let mut names = [name.as_ptr()];
        let topics = native::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
        let options = native::rd_kafka_AdminOptions_new(client, native::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
        native::rd_kafka_AdminOptions_set_request_timeout(options, wait_ms, ptr::null_mut(), 0);
        native::rd_kafka_DescribeTopics(client, topics, options, queue);
        let event = native::rd_kafka_queue_poll(queue, wait_ms);
        let answer = if event.is_null() {
            Err(silent())
        } else {
            read(event).unwrap_or_else(|| Err(silent()))
        };
        if !event.is_null() {
            native::rd_kafka_event_destroy(event);
        }
        native::rd_kafka_AdminOptions_destroy(options);
        native::rd_kafka_TopicCollection_destroy(topics);
        native::rd_kafka_queue_destroy(queue);
        answer
    }
}

/// The id in an answer; `None` when there is none in it.
///
/// # Safety
/// `event` is one that the client gave, and lives.
unsafe fn read(event: *mut native::rd_kafka_event_t) -> Option<Result<String, LogError>> {
    let failed = |code| Some(Err(away(&KafkaError::AdminOp(RDKafkaErrorCode::from(code)))));
    // SAFETY: the pointers belong to the event and are looked at only here.
    unsafe {
        let code = native::rd_kafka_event_error(event);
        if code != native::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return failed(code);
        }
        let result = native::rd_kafka_event_DescribeTopics_result(event);
        if result.is_null() {
            return None;
        }
        let mut count = 0;
        let topics = native::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        if count == 0 {
            return None;
        }
        let topic = *topics;
        let error = native::rd_kafka_TopicDescription_error(topic);
        let code = native::rd_kafka_error_code(error);
        if code != native::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return failed(code);
        }
        let id = native::rd_kafka_TopicDescription_topic_id(topic);
        if id.is_null() {
            return None;
        }
        let text = CStr::from_ptr(native::rd_kafka_Uuid_base64str(id));
        Some(Ok(text.to_string_lossy().into_owned()))
    }
}
