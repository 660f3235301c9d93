//! A little server of DNS on this machine, whose zone tests fill: TXT records only, by datagrams.

use std::collections::HashMap;
use std::net::UdpSocket;
use std::sync::{LazyLock, Mutex, OnceLock};

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::TXT;
use hickory_resolver::proto::rr::{RData, Record, RecordType};

/// What is said of a name: its texts; `None`: the server of this name fails.
type Zone = HashMap<String, Option<Vec<String>>>;

static ZONE: LazyLock<Mutex<Zone>> = LazyLock::new(Mutex::default);

/// Where it listens.
pub fn server() -> &'static str {
    static ADDRESS: OnceLock<String> = OnceLock::new();
    ADDRESS.get_or_init(|| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            let mut buffer = [0; 4_096];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).unwrap();
                if let Ok(question) = Message::from_vec(&buffer[..length]) {
                    let _ = socket.send_to(&answer(question).to_vec().unwrap(), from);
                }
            }
        });
        address
    })
}

/// From now on a name has this text beside those that it has.
pub fn says(name: &str, text: &str) {
    let mut zone = ZONE.lock().unwrap();
    let texts = zone.entry(name.to_owned()).or_insert_with(|| Some(Vec::new()));
    texts.get_or_insert_default().push(text.to_owned());
}

/// From now on nothing is to be learnt of a name.
pub fn fails(name: &str) {
    ZONE.lock().unwrap().insert(name.to_owned(), None);
}

/// From now on there is no such name.
pub fn forgets(name: &str) {
    ZONE.lock().unwrap().remove(name);
}

fn answer(question: Message) -> Message {
    let mut answer = question.into_response();
    answer.metadata.recursion_available = true;
    let Some(asked) = answer.queries.first().cloned() else {
        answer.metadata.response_code = ResponseCode::FormErr;
        return answer;
    };
    let name = asked.name().to_ascii().trim_end_matches('.').to_lowercase();
    let zone = ZONE.lock().unwrap();
    match zone.get(&name) {
        None => answer.metadata.response_code = ResponseCode::NXDomain,
        Some(None) => answer.metadata.response_code = ResponseCode::ServFail,
        Some(Some(texts)) if asked.query_type() == RecordType::TXT => {
            for text in texts {
                // As servers do: a long text in pieces of 255 at most, which are one.
                let pieces = text.as_bytes().chunks(40).map(|piece| String::from_utf8(piece.to_vec()).unwrap());
                let text = TXT::new(pieces.collect());
                answer.add_answer(Record::from_rdata(asked.name().clone(), 60, RData::TXT(text)));
            }
        }
        Some(Some(_)) => {}
    }
    answer
}
