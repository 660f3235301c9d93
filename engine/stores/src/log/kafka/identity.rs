//! Which log this is: the cluster and the id that the broker gave the topic when it was made. A topic that was deleted and made
//! again under the same name has another (KA-06).

use std::ffi::{CStr, CString};
use std::time::Duration;

use rdkafka::admin::AdminClient;
use rdkafka::bindings as native;

use super::question::{answer, refused};
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
    let mut names = [name.as_ptr()];
    let operation = native::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
    let client = admin.inner().native_ptr();
    // SAFETY: `client` lives as long as `admin`, the names until they are sent; the collection is freed behind the answer.
    let answer = unsafe {
        let topics = native::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
        let send = |options, queue| native::rd_kafka_DescribeTopics(client, topics, options, queue);
        let answer = answer(client, operation, wait, send, |event| read(event));
        native::rd_kafka_TopicCollection_destroy(topics);
        answer
    };
    answer.unwrap_or_else(|| Err(LogError::Unavailable(format!("Kafka does not tell the id of the topic {topic}"))))
}

/// The id in an answer; `None` when there is none in it.
///
/// # Safety
/// `event` is one that the client gave, and lives.
unsafe fn read(event: *mut native::rd_kafka_event_t) -> Option<Result<String, LogError>> {
    // SAFETY: the pointers belong to the event and are looked at only here.
    unsafe {
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
        if let Some(refused) = refused(native::rd_kafka_error_code(error)) {
            return Some(refused);
        }
        let id = native::rd_kafka_TopicDescription_topic_id(topic);
        if id.is_null() {
            return None;
        }
        let text = CStr::from_ptr(native::rd_kafka_Uuid_base64str(id));
        Some(Ok(text.to_string_lossy().into_owned()))
    }
}
