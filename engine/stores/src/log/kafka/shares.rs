//! Reads which partitions a member of a group has, in the form in which members tell each other (the `ConsumerProtocolAssignment` of Kafka's
//! own message definitions): a version; for each topic its name and its partitions; then what only the assignor understands.

use std::collections::BTreeSet;

/// The partitions of `topic` in an assignment; `None` when it is cut short.
pub(super) fn read(bytes: &[u8], topic: &str) -> Option<BTreeSet<u32>> {
    let mut owned = BTreeSet::new();
    // A member that has not been given anything yet.
    if bytes.is_empty() {
        return Some(owned);
    }
    let mut rest = bytes;
    take::<2>(&mut rest)?;
    for _ in 0..u32::from_be_bytes(take(&mut rest)?) {
        let length = u16::from_be_bytes(take(&mut rest)?);
        let (name, behind) = rest.split_at_checked(length.into())?;
        rest = behind;
        for _ in 0..u32::from_be_bytes(take(&mut rest)?) {
            let partition = u32::from_be_bytes(take(&mut rest)?);
            if name == topic.as_bytes() {
                owned.insert(partition);
            }
        }
    }
    Some(owned)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assignment(topics: &[(&str, &[u32])]) -> Vec<u8> {
        let mut bytes = vec![0, 3];
        bytes.extend((topics.len() as u32).to_be_bytes());
        for (name, partitions) in topics {
            bytes.extend((name.len() as u16).to_be_bytes());
            bytes.extend(name.as_bytes());
            bytes.extend((partitions.len() as u32).to_be_bytes());
            partitions.iter().for_each(|partition| bytes.extend(partition.to_be_bytes()));
        }
        bytes.extend((-1i32).to_be_bytes());
        bytes
    }

    #[test]
    fn partitions_of_the_topic_are_read_and_no_others() {
        let bytes = assignment(&[("other", &[9]), ("calls", &[0, 7]), ("calls", &[3])]);
        assert_eq!(read(&bytes, "calls"), Some([0, 3, 7].into()));
        assert_eq!(read(&bytes, "none"), Some(BTreeSet::new()));
        assert_eq!(read(&[], "calls"), Some(BTreeSet::new()));
    }

    #[test]
    fn one_that_is_cut_short_or_lies_about_its_length_is_refused() {
        let bytes = assignment(&[("calls", &[0, 7])]);
        for length in 1..bytes.len() - 4 {
            assert_eq!(read(&bytes[..length], "calls"), None, "{length}");
        }
        assert_eq!(read(&[0, 0, 255, 255, 255, 255], "calls"), None);
    }
}
