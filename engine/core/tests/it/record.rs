//! The stored form of a record: what was written once must be read for ever.

use bytes::Bytes;
use proptest::prelude::*;
use trunkline_core::id::{TenantId, WorkspaceId};
use trunkline_core::instant::Millis;
use trunkline_core::record::{DamagedRecord, Header, Record, SetAside, Source};
use uuid::Uuid;

/// One line of hex for each record of [`golden`]. Never edited; a new form gets a new file.
const GOLDEN: &str = include_str!("golden/record_v1.hex");

fn golden() -> Vec<Record> {
    let body = Bytes::from_static(b"{\"event\":\"call_started\",\"call\":{\"call_id\":\"c\xC3\xA9\"}}");
    let header = Header {
        received_at: Millis(1_795_305_600_123),
        tenant: TenantId(Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef)),
        workspace: WorkspaceId(Uuid::from_u128(2)),
        source: Source::Webhook,
        event: "call_started".into(),
        key: "cé".into(),
        set_aside: None,
        masked: true,
        crc32: crc32fast::hash(&body),
    };
    let empty = Header {
        source: Source::Backfill,
        event: String::new(),
        key: "e3b0c442".into(),
        set_aside: Some(SetAside::NotJson),
        masked: false,
        crc32: 0,
        ..header.clone()
    };
    vec![
        Record { header, body },
        Record {
            header: empty,
            body: Bytes::new(),
        },
    ]
}

#[test]
fn the_stored_form_of_version_1_is_written_and_read_as_on_its_first_day() {
    let lines: Vec<&str> = GOLDEN.lines().collect();
    assert_eq!(lines.len(), golden().len());
    for (record, line) in golden().iter().zip(lines) {
        assert_eq!(hex::encode(record.encode()), line);
        assert_eq!(&Record::decode(&hex::decode(line).unwrap().into()).unwrap(), record);
    }
}

#[test]
fn damage_is_found_and_named() {
    let stored = golden()[0].encode().to_vec();
    let decode = |bytes: Vec<u8>| Record::decode(&Bytes::from(bytes)).unwrap_err();
    let changed = |at: usize, to: u8| {
        let mut bytes = stored.clone();
        bytes[at] = to;
        bytes
    };
    assert_eq!(decode(Vec::new()), DamagedRecord::NotARecord);
    assert_eq!(decode(changed(0, b'X')), DamagedRecord::NotARecord);
    assert_eq!(decode(changed(3, 2)), DamagedRecord::NewerVersion(2));
    assert_eq!(decode(changed(stored.len() - 1, b'!')), DamagedRecord::Checksum);
    assert_eq!(decode(stored[..60].to_vec()), DamagedRecord::NotARecord);
    assert!(matches!(decode(changed(7, 0)), DamagedRecord::Header(_)));
    assert!(matches!(decode(changed(48, 77)), DamagedRecord::Header(_)));
}

proptest! {
    #[test]
    fn what_is_stored_is_what_is_read(body: Vec<u8>, event in "\\PC{0,128}", key in "\\PC{0,64}", at: i64, masked: bool, source in 0usize..3) {
        let body = Bytes::from(body);
        let header = Header {
            received_at: Millis(at),
            tenant: TenantId(Uuid::from_u128(7)),
            workspace: WorkspaceId(Uuid::from_u128(8)),
            source: [Source::Webhook, Source::Backfill, Source::Reaper][source],
            event,
            key,
            set_aside: None,
            masked,
            crc32: crc32fast::hash(&body),
        };
        let record = Record { header, body };
        prop_assert_eq!(Record::decode(&record.encode()).unwrap(), record);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
        let _ = Record::decode(&Bytes::from([b"TLR\x01\x00\x00\x00".to_vec(), bytes].concat()));
    }
}
