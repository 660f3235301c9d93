//! Which partitions the members of a group have, as its coordinator knows it.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::time::Duration;

use rdkafka::bindings as native;
use rdkafka::client::Client;

use super::question::{answer, refused};
use super::voice::Voice;
use crate::log::LogError;

/// The partitions of `topic` that some member of `group` has; `None` while they are being shared out. Blocks for at most `wait`. The wrapper's
/// own question goes to every broker and fails when one of them is away, so the coordinator is asked directly.
pub(super) fn owned(client: &Client<Voice>, group: &str, topic: &str, wait: Duration) -> Result<Option<BTreeSet<u32>>, LogError> {
    let name = CString::new(group).map_err(|_| LogError::Misconfigured("kafka.topic holds a zero byte".into()))?;
    let mut names = [name.as_ptr()];
    let operation = native::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS;
    let client = client.native_ptr();
    // SAFETY: the client lives as long as what it was taken from, and the names until they are sent.
    let answer = unsafe {
        let send = |options, queue| native::rd_kafka_DescribeConsumerGroups(client, names.as_mut_ptr(), names.len(), options, queue);
        answer(client, operation, wait, send, |event| read(event, topic))
    };
    answer.unwrap_or_else(|| Err(LogError::Unavailable(format!("Kafka does not tell who is in the group {group}"))))
}

/// What an answer says; `None` when it says nothing.
///
/// # Safety
/// `event` is one that the client gave, and lives.
unsafe fn read(event: *mut native::rd_kafka_event_t, topic: &str) -> Option<Result<Option<BTreeSet<u32>>, LogError>> {
    // SAFETY: the pointers belong to the event and are looked at only here.
    unsafe {
        let result = native::rd_kafka_event_DescribeConsumerGroups_result(event);
        if result.is_null() {
            return None;
        }
        let mut count = 0;
        let groups = native::rd_kafka_DescribeConsumerGroups_result_groups(result, &mut count);
        if count == 0 {
            return None;
        }
        let group = *groups;
        let code = native::rd_kafka_error_code(native::rd_kafka_ConsumerGroupDescription_error(group));
        if let Some(refused) = refused(code) {
            return Some(refused);
        }
        let stable = native::rd_kafka_consumer_group_state_t::RD_KAFKA_CONSUMER_GROUP_STATE_STABLE;
        if native::rd_kafka_ConsumerGroupDescription_state(group) != stable {
            return Some(Ok(None));
        }
        let mut owned = BTreeSet::new();
        for number in 0..native::rd_kafka_ConsumerGroupDescription_member_count(group) {
            let member = native::rd_kafka_ConsumerGroupDescription_member(group, number);
            let assignment = native::rd_kafka_MemberDescription_assignment(member);
            if assignment.is_null() {
                continue;
            }
            let partitions = native::rd_kafka_MemberAssignment_partitions(assignment);
            if partitions.is_null() {
                continue;
            }
            for nth in 0..usize::try_from((*partitions).cnt).unwrap_or(0) {
                let partition = &*(*partitions).elems.add(nth);
                if CStr::from_ptr(partition.topic).to_bytes() == topic.as_bytes() {
                    owned.extend(u32::try_from(partition.partition));
                }
            }
        }
        Some(Ok(Some(owned)))
    }
}
